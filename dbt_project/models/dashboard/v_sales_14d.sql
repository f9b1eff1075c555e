with

recent_sales as (

    select
        event_id,
        city,
        sum(tickets_sold) as tickets_sold,
        sum(revenue) as revenue,
        currency
    from {{ ref('fact_qtickets_sales_daily') }}
    where sales_date between {{ report_today() }} - 13 and {{ report_today() }}
    group by event_id, city, currency

)

select
    recent_sales.event_id as event_id,
    events.event_name as event_name,
    recent_sales.city as city,
    recent_sales.tickets_sold as tickets_sold,
    toDecimal64(recent_sales.revenue, 2) as revenue,
    recent_sales.currency as currency

from recent_sales
left join {{ ref('dim_events') }} as events on recent_sales.event_id = events.event_id
settings join_use_nulls = 0
