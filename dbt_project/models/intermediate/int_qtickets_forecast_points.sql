{{ config(order_by='(show_id, currency, days_left)') }}

{%- set c = forecast_constants() %}

with

seats as (

    select show_id, max(tickets_total) as tickets_total
    from {{ ref('fact_qtickets_inventory_by_show') }}
    group by show_id

),

curves as (

    select
        curve.*,
        -- 0 if unknown
        coalesce(seats.tickets_total, 0) as tickets_total,
        log(tickets_so_far + {{ c.offset }}) as x,
        log(tickets_last_week + 1) as pace,
        log(final_tickets + {{ c.offset }}) as y,
        log(1 + greatest(dateDiff('day', on_sale_date, last_day - days_left), 0)) as age,
        log(1 + dateDiff('day', show_date, last_day)) as run
    from {{ ref('int_qtickets_show_curves') }} as curve
    left join seats on curve.show_id = seats.show_id
    settings join_use_nulls = 0

),

-- A forecast of a past day knows the shows that had ended before it, and nothing that happened later.
points as (

    select *, last_day - days_left as as_of
    from curves
    where
        on_sale_date < as_of
        and (
            (is_over and is_complete and days_left in ({{ c.horizons | join(', ') }}))
            or (not is_over and days_left = least(greatest(dateDiff('day', {{ report_today() }}, last_day), 0), 180))
        )

),

pairs as (

    select
        point.show_id as show_id,
        point.currency as currency,
        point.days_left as days_left,
        past.event_id = point.event_id as same_event,
        past.city = point.city as same_city,
        past.x as px, past.pace as pp, past.y as py,
        past.tickets_so_far as past_tickets, past.final_tickets as past_final,
        exp(
            -pow((point.age - past.age) / {{ c.age_width }}, 2) / 2
            - pow((point.run - past.run) / {{ c.run_width }}, 2) / 2
            - dateDiff('day', past.last_day, point.as_of) / {{ c.memory_days }}
        ) as kin,
        kin * exp(
            -pow((point.x - past.x) / {{ c.sold_width }}, 2) / 2
            -pow((point.pace - past.pace) / {{ c.pace_width }}, 2) / 2
            - if(point.tickets_total > 0 and past.tickets_total > 0, pow(log(point.tickets_total / past.tickets_total) / {{ c.hall_width }}, 2) / 2, 0)
        ) as near
    from points as point
    inner join curves as past on point.currency = past.currency and point.days_left = past.days_left
    where past.is_over and past.is_complete and past.last_day < point.as_of and past.show_id != point.show_id

),

sums as (

    select
        show_id, currency, days_left,
        countIf(same_event) as event_shows,
        countIf(same_city) as city_shows,
        count() as all_shows,
        sumIf(kin, same_event) as event_mass,
        sumIf(near, same_city) as city_mass,
        sum(near) as all_mass,
        {% for name, value in [('x', 'px'), ('p', 'pp'), ('y', 'py'), ('xx', 'px * px'), ('xy', 'px * py'), ('yy', 'py * py'), ('pp', 'pp * pp'), ('xp', 'px * pp'), ('py', 'pp * py')] %}
        sumIf(kin * ({{ value }}), same_event) as event_{{ name }},
        sumIf(near * ({{ value }}), same_city) as city_{{ name }},
        sum(near * ({{ value }})) as all_{{ name }},
        {% endfor %}
        avg(py) as past_y,
        stddevPop(py) as past_spread,
        avgIf(if(past_final <= 0, 0, past_tickets / past_final), same_event) as event_share,
        avgIf(if(past_final <= 0, 0, past_tickets / past_final), same_city) as city_share
    from pairs
    group by show_id, currency, days_left

),

-- In steps: within one `select`, ClickHouse replaces an alias by its expression at each use, so aliases of aliases
-- multiply what it has to analyse. The columns of a subquery are not replaced.
means as (

    select
        *,
        {{ c.event_weight }} as fe,
        {{ c.city_shows }} / (city_mass + {{ c.city_shows }}) as fc,
        {{ c.all_shows }} / (all_mass + {{ c.all_shows }} / 4) as fa,
        fe * event_mass + fc * city_mass + fa * all_mass + 1e-9 as mass,
        {% for name in ['x', 'p', 'y'] %}
        (fe * event_{{ name }} + fc * city_{{ name }} + fa * all_{{ name }}) / mass as m{{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from sums

),

variances as (

    select
        *,
        {% for name, a, b in [('xx', 'mx', 'mx'), ('xy', 'mx', 'my'), ('yy', 'my', 'my'), ('pp', 'mp', 'mp'), ('xp', 'mx', 'mp'), ('py', 'mp', 'my')] %}
        (fe * event_{{ name }} + fc * city_{{ name }} + fa * all_{{ name }}) / mass - {{ a }} * {{ b }} as v{{ name }}{{ ',' if not loop.last }}
        {% endfor %}
    from means

),

ridged as (

    select
        *,
        vxx + {{ c.ridge }} / (mass + 1) as rxx,
        vpp + {{ c.ridge }} / (mass + 1) as rpp,
        vxy + {{ c.ridge }} * {{ c.usual_slope }} / (mass + 1) as rxy,
        vpy + {{ c.ridge }} * {{ c.usual_pace }} / (mass + 1) as rpy
    from variances

),

slopes as (

    select
        *,
        rxx * rpp - vxp * vxp as determinant,
        least(greatest((rxy * rpp - rpy * vxp) / determinant, {{ c.least_slope }}), 1) as slope,
        least(greatest((rpy * rxx - rxy * vxp) / determinant, 0), 1 - slope) as pace_slope
    from ridged

),

fits as (

    select
        *,
        greatest(vyy - 2 * slope * vxy - 2 * pace_slope * vpy + slope * slope * vxx + pace_slope * pace_slope * vpp + 2 * slope * pace_slope * vxp, 0) as rest,
        sqrt((rest * mass + {{ c.usual_spread }} * {{ c.usual_spread }} * 4) / (mass + 4)) as spread
    from slopes

)

select
    points.show_id as show_id,
    points.currency as currency,
    points.event_id as event_id,
    points.city as city,
    points.show_date as show_date,
    points.last_day as last_day,
    points.as_of as as_of,
    points.days_left as days_left,
    points.is_over as is_over,
    points.tickets_so_far as tickets_so_far,
    points.revenue_so_far as revenue_so_far,
    points.tickets_last_week as tickets_last_week,
    points.tickets_total as tickets_total,
    points.final_tickets as final_tickets,
    points.final_revenue as final_revenue,
    fits.event_shows as event_shows,
    fits.city_shows as city_shows,
    fits.all_shows as all_shows,
    toUInt8(fits.mass >= 0.01) as is_compared,
    -- Rounded, because a sum of floats depends on the order in which they are added.
    toUInt8(not is_compared and points.tickets_so_far = 0 and fits.all_shows > 0) as is_unsold,
    round(multiIf(
        is_compared, fits.spread,
        is_unsold, greatest(fits.past_spread, {{ c.usual_spread }} * 2),
        {{ c.usual_spread }} * 2
    ), 6) as spread,
    points.x as x,
    round(multiIf(
        is_unsold, fits.past_y,
        not is_compared, points.x + log(1 + points.days_left / (points.age + 3)),
        fits.my + fits.slope * (points.x - fits.mx) + fits.pace_slope * (points.pace - fits.mp)
    ), 6) as center,
    multiIf(fits.event_shows >= 3, round(fits.event_share, 6), fits.city_shows >= 3, round(fits.city_share, 6), 0) as curve_share,
    if(curve_share > 0, points.tickets_so_far / curve_share, null) as by_curve,
    points.tickets_so_far + points.tickets_last_week / 7 * (points.days_left + 1) as by_last_week

from points
left join fits on points.show_id = fits.show_id and points.currency = fits.currency and points.days_left = fits.days_left
settings join_use_nulls = 0
