with

events as (

    select event_id, city, currency from {{ ref('dim_events') }}

),

-- The plan file has no currency: amounts are in the currency of the event.
plan as (

    select
        plan_sales.sales_date as sales_date,
        plan_sales.event_id as event_id,
        if(trim(plan_sales.city) = '', events.city, lowerUTF8(trim(plan_sales.city))) as city,
        events.currency as currency,
        plan_sales.plan_tickets as plan_tickets,
        plan_sales.plan_revenue as plan_revenue
    from {{ ref(var('plan_sales_project', 'qtickets'), 'plan_sales') }} as plan_sales
    left join events on plan_sales.event_id = events.event_id

),

sales as (

    select sales_date, event_id, city, currency, tickets_sold, revenue
    from {{ ref('fact_qtickets_sales_daily') }}

),

-- A union, not a join, so that days with only a plan or only sales are kept.
plan_and_sales as (

    select
        sales_date,
        event_id,
        city,
        currency,
        plan_tickets,
        plan_revenue,
        toUInt64(0) as fact_tickets,
        toDecimal64(0, 2) as fact_revenue
    from plan
    union all
    select
        sales_date,
        event_id,
        city,
        currency,
        toUInt64(0) as plan_tickets,
        toDecimal64(0, 2) as plan_revenue,
        tickets_sold as fact_tickets,
        revenue as fact_revenue
    from sales

),

daily_totals as (

    select
        sales_date,
        event_id,
        city,
        currency,
        toInt64(sum(plan_and_sales.plan_tickets)) as plan,
        sum(plan_and_sales.plan_revenue) as planned,
        toInt64(sum(plan_and_sales.fact_tickets)) as sold,
        sum(plan_and_sales.fact_revenue) as earned
    from plan_and_sales
    group by sales_date, event_id, city, currency

),

-- Of the plan, not by a window over all days: a filter on dates then reads only the sales of these dates.
planned_periods as (

    select
        event_id,
        city,
        currency,
        min(sales_date) as first_planned_day,
        max(sales_date) as last_planned_day
    from plan
    where plan.plan_tickets > 0 or plan.plan_revenue > 0
    group by event_id, city, currency

)

select
    days.sales_date as sales_date,
    days.event_id as event_id,
    days.city as city,
    toUInt64(plan) as plan_tickets,
    toDecimal64(planned, 2) as plan_revenue,
    toUInt64(sold) as fact_tickets,
    toDecimal64(earned, 2) as fact_revenue,
    sold - plan as diff_tickets,
    toDecimal64(earned - planned, 2) as diff_revenue,
    if(plan = 0, null, round(100 * (sold - plan) / plan, 2)) as diff_tickets_pct,
    if(planned = 0, null, round(100 * toFloat64(earned - planned) / toFloat64(planned), 2)) as diff_revenue_pct,
    toLowCardinality(days.currency) as currency,
    toUInt8(days.sales_date between first_planned_day and last_planned_day) as is_planned

from daily_totals as days
-- 1970 for an event without a plan.
left join planned_periods as periods
    on days.event_id = periods.event_id and days.city = periods.city and days.currency = periods.currency
settings join_use_nulls = 0
