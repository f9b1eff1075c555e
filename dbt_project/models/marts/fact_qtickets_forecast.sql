{{ config(order_by='(event_id, show_id, currency)') }}

{%- set c = forecast_constants() %}

with

plans as (

    select event_id, sum(plan_sales.plan_tickets) as plan_tickets
    from {{ ref(var('plan_sales_project', 'qtickets'), 'plan_sales') }} as plan_sales
    group by event_id

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
        forecast.is_unsold as is_unsold,
        coalesce(sold.tickets_sold, 0) as tickets_now,
        coalesce(sold.revenue, 0) as revenue_now,
        tickets_now * forecast.kept_share as floor_tickets,
        if(forecast.tickets_total = 0, toFloat64(1000000000), toFloat64(greatest(forecast.tickets_total, tickets_now))) as seats,
        -- The price of the tickets sold so far is taken for that of the tickets still to be sold.
        if(tickets_now = 0, null, toFloat64(revenue_now) / tickets_now) as price,
        -- The last seats of a hall are often left: places without a view, or given back in the last hours.
        ceil(seats * {{ c.sold_out_from }}) as sold_out_from,
        log(sold_out_from - 0.5 + {{ c.offset }}) - middle as to_seats,
        greatest(floor_tickets, 0) as least_tickets,
        ceil(least(greatest(forecast.tickets_p10, least_tickets), seats)) as low,
        ceil(least(greatest(forecast.tickets_p50, least_tickets), seats)) as expected,
        ceil(least(greatest(forecast.tickets_p90, least_tickets), seats)) as high,
        exp(least(middle, 25)) - {{ c.offset }} as wanted
    from {{ ref('int_qtickets_forecasts') }} as forecast
    left join sold on forecast.show_id = sold.show_id and forecast.currency = sold.currency
    where not forecast.is_over
    settings join_use_nulls = 0

),

-- The plan is that of an event: of all its shows, those that are over included.
events as (

    select
        forecasts.event_id as event_id,
        any(plans.plan_tickets) as plan_tickets,
        any(sold_by_event.tickets_sold) as event_tickets_now,
        count() as forecast_shows,
        event_tickets_now + sum(expected - tickets_now) as event_expected,
        sum(seats - tickets_now) + event_tickets_now as event_seats,
        {% for name, spread in [('below', 'expected - low'), ('above', 'high - expected')] %}
        -- Misses of shows of one event are correlated.
        sqrt((1 - {{ c.event_correlation }}) * sum(pow({{ spread }}, 2)) + {{ c.event_correlation }} * pow(sum({{ spread }}), 2)) / 1.2816 as event_{{ name }},
        {% endfor %}
        any(middle) as event_middle,
        any(expected) as only_expected,
        any(spread_below) as only_below,
        any(spread_above) as only_above
    from forecasts
    inner join plans on forecasts.event_id = plans.event_id
    left join (
        select event_id, sum(sales.tickets_sold) as tickets_sold
        from {{ ref('fact_qtickets_sales_by_show_daily') }} as sales
        group by event_id
    ) as sold_by_event on forecasts.event_id = sold_by_event.event_id
    where plans.plan_tickets > 0
    group by forecasts.event_id
    settings join_use_nulls = 0

),

plan_probabilities as (

    select
        event_id,
        plan_tickets,
        multiIf(
            event_tickets_now >= plan_tickets, 1,
            event_seats < plan_tickets, 0,
            -- Of one show: its own distribution, which is that of a logarithm.
            forecast_shows = 1, erfc(to_only / if(to_only > 0, only_above, only_below) / sqrt(2)) / 2,
            erfc(to_all / greatest(if(to_all > 0, event_above, event_below), 0.5) / sqrt(2)) / 2
        ) as probability,
        log(greatest(plan_tickets - (event_expected - only_expected), 1) - 0.5 + {{ c.offset }}) - event_middle as to_only,
        plan_tickets - 0.5 - event_expected as to_all
    from events

)

select
    forecasts.event_id as event_id,
    show_id,
    currency,
    toLowCardinality(forecasts.city) as city,
    show_date,
    as_of,
    toUInt64(tickets_now) as tickets_so_far,
    toUInt64(low) as tickets_p10,
    toUInt64(expected) as tickets_p50,
    toUInt64(high) as tickets_p90,
    toDecimal64(revenue_now + toDecimal64(round((toInt64(tickets_p10) - toInt64(tickets_now)) * price, 2), 2), 2) as revenue_p10,
    toDecimal64(revenue_now + toDecimal64(round((toInt64(tickets_p50) - toInt64(tickets_now)) * price, 2), 2), 2) as revenue_p50,
    toDecimal64(revenue_now + toDecimal64(round((toInt64(tickets_p90) - toInt64(tickets_now)) * price, 2), 2), 2) as revenue_p90,
    if(forecasts.tickets_total = 0, null, toUInt64(forecasts.tickets_total)) as tickets_total,
    multiIf(
        tickets_total is null, null,
        tickets_now >= sold_out_from, as_of,
        wanted < sold_out_from, null,
        as_of + toUInt16(least(ceil(days_left * (sold_out_from - tickets_now) / greatest(wanted - tickets_now, 1)), days_left))
    ) as sellout_date,
    multiIf(
        tickets_total is null, null,
        tickets_now >= sold_out_from, 1,
        round(erfc(to_seats / if(to_seats > 0, spread_above, spread_below) / sqrt(2)) / 2, 3)
    ) as sellout_probability,
    if(plan_probabilities.plan_tickets = 0, null, round(plan_probabilities.probability, 3)) as plan_probability,
    toLowCardinality(multiIf(is_compared, 'pickup', is_unsold, 'past_shows', 'own_pace')) as method,
    toLowCardinality(multiIf(
        is_unsold, 'account', not is_compared, 'none', event_shows >= 3, 'event', city_shows >= 3, 'city', 'account'
    )) as compared_with,
    toUInt64(multiIf(
        compared_with = 'none', 0, compared_with = 'event', event_shows, compared_with = 'city', city_shows, all_shows
    )) as compared_shows

from forecasts
left join plan_probabilities on forecasts.event_id = plan_probabilities.event_id
settings join_use_nulls = 0
