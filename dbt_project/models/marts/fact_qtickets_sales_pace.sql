{{ config(order_by='(event_id, show_id, currency, days_before_show)') }}

{%- set horizon = 180 %}

with

shows as (

    select
        show_id,
        event_id,
        city,
        assumeNotNull(start_date) as show_date,
        greatest(assumeNotNull(coalesce(end_date, start_date)), show_date) as last_day,
        is_over
    from {{ ref('dim_shows') }}
    where start_date is not null and not is_deleted

),

-- Sales on the last day of the show or later count as day 0, sales before the horizon as the day of the horizon.
sales_before_show as (

    select
        shows.show_id as show_id,
        shows.event_id as event_id,
        shows.city as city,
        shows.show_date as show_date,
        shows.last_day as last_day,
        shows.is_over as is_over,
        sold.currency as currency,
        toInt32(least(greatest(dateDiff('day', sold.sales_date, shows.last_day), 0), {{ horizon }})) as day,
        sold.tickets_sold as tickets_sold,
        sold.revenue as revenue,
        sold.sold_ver as _ver
    from {{ ref('fact_qtickets_sales_by_show_daily') }} as sold
    inner join shows on sold.show_id = shows.show_id
    where sold.tickets_sold > 0

),

-- ClickHouse runs a CTE once for each reference to it. So the days of a show are kept in one row here and
-- unfolded below, which needs no second reference.
sold_shows as (

    select
        show_id,
        event_id,
        city,
        show_date,
        last_day,
        is_over,
        currency,
        sumMap(map(day, tickets_sold)) as tickets_by_day,
        sumMap(map(day, revenue)) as revenue_by_day,
        sum(tickets_sold) as final_tickets,
        max(_ver) as _ver,
        if(is_over, 0, dateDiff('day', {{ report_today() }}, last_day)) as days_until_show
    from sales_before_show
    group by show_id, event_id, city, show_date, last_day, is_over, currency

),

-- One row per show and day up to today, days without sales included, so that a curve has no gaps.
show_days as (

    select
        show_id,
        event_id,
        city,
        show_date,
        currency,
        final_tickets,
        _ver,
        is_over,
        -- One tuple per day: maps selected next to an arrayJoin would be copied into each of its rows.
        arrayJoin(arrayMap(
            day -> (toInt32(day), tickets_by_day[toInt32(day)], revenue_by_day[toInt32(day)]),
            range(greatest(toInt32(days_until_show), 0), {{ horizon }} + 1)
        )) as sold,
        sold.1 as days_before_show,
        sold.2 as tickets_sold,
        sold.3 as revenue
    from sold_shows

),

curves as (

    select
        *,
        sum(tickets_sold) over so_far as tickets_so_far,
        sum(revenue) over so_far as revenue_so_far,
        -- A decimal, because the mean of floats depends on the order in which they are added.
        toDecimal64(if(final_tickets = 0, 0, tickets_so_far / final_tickets), 6) as share
    from show_days
    window so_far as (
        partition by show_id, currency order by days_before_show desc
        rows between unbounded preceding and current row
    )

),

-- Shows whose first sales may be missing would look as if they had sold late.
complete_shows as (

    select show_id, currency, max(is_complete) as is_complete
    from {{ ref('int_qtickets_show_curves') }}
    group by show_id, currency

),

known_curves as (

    select
        curves.*,
        toUInt8(curves.is_over and complete_shows.is_complete) as is_past,
        toUInt8(curves.is_over and not complete_shows.is_complete) as is_left_out
    from curves
    left join complete_shows
        on curves.show_id = complete_shows.show_id and curves.currency = complete_shows.currency
    settings join_use_nulls = 0

),

-- A show is compared with other past shows of the same event or, if there are fewer than three, of the same city,
-- that sold in the same currency: a show in two currencies counts once for each of them.
compared_curves as (

    select
        *,
        countIf(is_past) over same_event - is_past as event_shows,
        toFloat64(sumIf(share, is_past) over same_event - if(is_past, share, 0)) / nullIf(event_shows, 0) as event_share,
        countIf(is_left_out) over same_event - is_left_out as event_left_out,
        countIf(is_past) over same_city - is_past as city_shows,
        toFloat64(sumIf(share, is_past) over same_city - if(is_past, share, 0)) / nullIf(city_shows, 0) as city_share,
        countIf(is_left_out) over same_city - is_left_out as city_left_out
    from known_curves
    window
        same_event as (partition by event_id, currency, days_before_show),
        same_city as (partition by city, currency, days_before_show)

)

select
    event_id,
    show_id,
    city,
    show_date,
    days_before_show,
    tickets_sold,
    toDecimal64(compared_curves.revenue, 2) as revenue,
    tickets_so_far,
    toDecimal64(compared_curves.revenue_so_far, 2) as revenue_so_far,
    toLowCardinality(multiIf(event_shows >= 3, 'event', city_shows >= 3, 'city', 'none')) as compared_with,
    toUInt64(multiIf(compared_with = 'event', event_shows, compared_with = 'city', city_shows, 0)) as compared_shows,
    multiIf(
        compared_with = 'event', round(event_share, 4), compared_with = 'city', round(city_share, 4), null
    ) as usual_share,
    if(coalesce(usual_share, 0) = 0, null, round(tickets_so_far / usual_share)) as tickets_expected,
    _ver,
    toUInt8(is_over) as is_over,
    currency,
    toUInt64(if(compared_with = 'event', event_left_out, city_left_out)) as left_out_shows

from compared_curves
