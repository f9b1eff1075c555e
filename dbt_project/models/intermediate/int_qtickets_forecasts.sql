{{ config(order_by='(show_id, currency, days_left)') }}

{%- set c = forecast_constants() %}

with

-- The horizon of a backtest that is nearest to the days that are left.
points as (

    select
        *,
        multiIf(days_left <= 1, 1, days_left <= 4, 3, days_left <= 10, 7, days_left <= 21, 14, 30) as horizon_days
    from {{ ref('int_qtickets_forecast_points') }}

),

misses as (

    select
        currency,
        horizon_days,
        event_id,
        show_id,
        last_day,
        (log(final_tickets + {{ c.offset }}) - center) / spread as miss,
        if(tickets_so_far > 0, least(final_tickets / tickets_so_far, 1), 1) as kept
    from points
    where is_over

),

-- Misses of the forecasts that could have been made for shows that had ended by then.
past_misses as (

    select
        point.show_id as show_id,
        point.currency as currency,
        point.days_left as days_left,
        count() as miss_count,
        quantileExactInclusive(0.1)(past.miss) as low_miss,
        quantileExactInclusive(0.5)(past.miss) as middle_miss,
        quantileExactInclusive(0.9)(past.miss) as high_miss,
        quantileExactInclusive(0.05)(past.kept) as kept
    from points as point
    inner join misses as past on point.currency = past.currency and point.horizon_days = past.horizon_days
    where past.last_day < point.as_of and past.show_id != point.show_id
    group by point.show_id, point.currency, point.days_left

),

-- Quantiles are drawn to those of the normal distribution, which count as {{ c.usual_misses }} shows.
intervals as (

    select
        points.*,
        past_misses.miss_count as missed_shows,
        past_misses.kept as kept,
        if(missed_shows = 0, 1, kept) * points.tickets_so_far as least_tickets,
        toFloat64(greatest(if(points.tickets_total = 0, 1000000000, points.tickets_total), points.tickets_so_far)) as most_tickets,
        missed_shows / (missed_shows + {{ c.usual_misses }}) as trust,
        transform(points.horizon_days, {{ c.horizons }}, {{ c.narrow }}, 1) as narrow,
        narrow * (trust * past_misses.low_miss - (1 - trust) * 1.28 * {{ c.wide }}) as low_z,
        trust * past_misses.middle_miss * {{ c.recenter }} as middle_z,
        narrow * (trust * past_misses.high_miss + (1 - trust) * 1.28 * {{ c.wide }}) as high_z,
        arrayMap(
            z -> least(greatest(exp(least(points.center + z * points.spread, 25)) - {{ c.offset }}, least_tickets), most_tickets),
            [low_z, middle_z + {{ c.bias }} * points.spread, high_z]
        ) as quantiles
    from points
    left join past_misses on
        points.show_id = past_misses.show_id and points.currency = past_misses.currency and points.days_left = past_misses.days_left
    settings join_use_nulls = 0

)

select
    show_id,
    currency,
    event_id,
    city,
    show_date,
    last_day,
    as_of,
    days_left,
    horizon_days,
    is_over,
    tickets_so_far,
    revenue_so_far,
    tickets_last_week,
    tickets_total,
    final_tickets,
    event_shows,
    city_shows,
    all_shows,
    missed_shows,
    is_compared,
    is_unsold,
    if(missed_shows = 0, 1, kept) as kept_share,
    center + (middle_z + {{ c.bias }} * spread) * spread as middle,
    greatest(middle_z + {{ c.bias }} * spread - low_z, 0.01) * spread / 1.2816 as spread_below,
    greatest(high_z - middle_z - {{ c.bias }} * spread, 0.01) * spread / 1.2816 as spread_above,
    round(least(quantiles[1], quantiles[2])) as tickets_p10,
    round(quantiles[2]) as tickets_p50,
    round(greatest(quantiles[3], quantiles[2])) as tickets_p90,
    by_curve,
    by_last_week

from intervals
