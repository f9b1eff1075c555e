{{ config(order_by='(event_id, show_id, currency)') }}

{%- set c = forecast_constants() %}

with

-- The plan has no shows: only the plan of an event with one show is that of the show.
plans as (

    select plans_of_events.event_id as event_id, plans_of_events.plan_tickets as plan_tickets
    from (
        select event_id, sum(plan_sales.plan_tickets) as plan_tickets
        from {{ ref(var('plan_sales_project', 'qtickets'), 'plan_sales') }} as plan_sales
        group by event_id
    ) as plans_of_events
    inner join (
        select event_id
        from {{ ref('dim_shows') }}
        where not is_deleted
        group by event_id
        having count() = 1
    ) as single_shows on plans_of_events.event_id = single_shows.event_id

),

-- With the sales of today, which the forecast does not know.
sold as (

    select
        show_id,
        currency,
        sum(tickets_sold) as tickets_sold,
        sum(sales.revenue) as revenue
    from {{ ref('fact_qtickets_sales_by_show_daily') }} as sales
    group by show_id, currency

),

forecasts as (

    select
        forecast.event_id as event_id,
        forecast.show_id as show_id,
        forecast.currency as currency,
        forecast.city as city,
        forecast.show_date as show_date,
        forecast.as_of as as_of,
        forecast.days_left as days_left,
        forecast.tickets_total as tickets_total,
        forecast.middle as middle,
        forecast.spread_below as spread_below,
        forecast.spread_above as spread_above,
        forecast.is_compared as is_compared,
        forecast.event_shows as event_shows,
        forecast.city_shows as city_shows,
        forecast.all_shows as all_shows,
        forecast.tickets_p10 as tickets_p10,
        forecast.tickets_p50 as tickets_p50,
        forecast.tickets_p90 as tickets_p90,
        sold.tickets_sold as tickets_now,
        sold.revenue as revenue_now,
        plans.plan_tickets as plan_tickets,
        tickets_now * forecast.kept_share as floor_tickets,
        if(forecast.tickets_total = 0, toFloat64(1000000000), toFloat64(greatest(forecast.tickets_total, tickets_now))) as seats,
        -- The price of the tickets sold so far is taken for that of the tickets still to be sold.
        if(tickets_now = 0, null, toFloat64(revenue_now) / tickets_now) as price,
        log(seats - 0.5 + {{ c.offset }}) - middle as to_seats,
        log(greatest(plan_tickets, 1) - 0.5 + {{ c.offset }}) - middle as to_plan,
        exp(least(middle, 25)) - {{ c.offset }} as wanted
    from {{ ref('int_qtickets_forecasts') }} as forecast
    left join sold on forecast.show_id = sold.show_id and forecast.currency = sold.currency
    left join plans on forecast.event_id = plans.event_id
    where not forecast.is_over
    settings join_use_nulls = 0

)

select
    event_id,
    show_id,
    currency,
    toLowCardinality(forecasts.city) as city,
    show_date,
    as_of,
    toUInt64(tickets_now) as tickets_so_far,
    toUInt64(ceil(least(greatest(forecasts.tickets_p10, floor_tickets), seats))) as tickets_p10,
    toUInt64(ceil(least(greatest(forecasts.tickets_p50, floor_tickets), seats))) as tickets_p50,
    toUInt64(ceil(least(greatest(forecasts.tickets_p90, floor_tickets), seats))) as tickets_p90,
    toDecimal64(round(toFloat64(revenue_now) + (toInt64(tickets_p10) - toInt64(tickets_now)) * price, 2), 2) as revenue_p10,
    toDecimal64(round(toFloat64(revenue_now) + (toInt64(tickets_p50) - toInt64(tickets_now)) * price, 2), 2) as revenue_p50,
    toDecimal64(round(toFloat64(revenue_now) + (toInt64(tickets_p90) - toInt64(tickets_now)) * price, 2), 2) as revenue_p90,
    if(forecasts.tickets_total = 0, null, toUInt64(forecasts.tickets_total)) as tickets_total,
    multiIf(
        tickets_total is null, null,
        tickets_now >= seats, as_of,
        wanted < seats, null,
        as_of + toUInt16(least(ceil(days_left * (seats - tickets_now) / greatest(wanted - tickets_now, 1)), days_left))
    ) as sellout_date,
    multiIf(
        tickets_total is null, null,
        tickets_now >= seats, 1,
        round(erfc(to_seats / if(to_seats > 0, spread_above, spread_below) / sqrt(2)) / 2, 3)
    ) as sellout_probability,
    multiIf(
        plan_tickets = 0, null,
        tickets_now >= plan_tickets, 1,
        tickets_total < plan_tickets, 0,
        round(erfc(to_plan / if(to_plan > 0, spread_above, spread_below) / sqrt(2)) / 2, 3)
    ) as plan_probability,
    toLowCardinality(if(is_compared, 'pickup', 'own_pace')) as method,
    toLowCardinality(multiIf(
        not is_compared, 'none', event_shows >= 3, 'event', city_shows >= 3, 'city', 'account'
    )) as compared_with,
    toUInt64(multiIf(
        compared_with = 'none', 0, compared_with = 'event', event_shows, compared_with = 'city', city_shows, all_shows
    )) as compared_shows

from forecasts
