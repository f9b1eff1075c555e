with

-- Of all dates: a currency in which nothing was sold lately keeps its row.
recent_sales as (

    select
        event_id,
        currency,
        sumIf(tickets_sold, sales_date = {{ report_today() }}) as tickets_sold_today,
        sumIf(revenue, sales_date = {{ report_today() }}) as revenue_today,
        sumIf(tickets_sold, sales_date between {{ report_today() }} - 13 and {{ report_today() }}) as tickets_sold_14d,
        sumIf(revenue, sales_date between {{ report_today() }} - 13 and {{ report_today() }}) as revenue_14d
    from {{ ref('fact_qtickets_sales_daily') }}
    group by event_id, currency

),

-- In a tuple, so that an event without a row here gets null from the join, not 1970.
inventory_snapshots as (

    select event_id, tuple(snapshot_ts) as snapshot_ts
    from {{ ref('fact_qtickets_inventory_latest') }}

)

select
    events.event_id as event_id,
    events.event_name as event_name,
    events.city as city,
    recent_sales.tickets_sold_today as tickets_sold_today,
    toDecimal64(recent_sales.revenue_today, 2) as revenue_today,
    recent_sales.tickets_sold_14d as tickets_sold_14d,
    toDecimal64(recent_sales.revenue_14d, 2) as revenue_14d,
    events.tickets_total as tickets_total,
    events.tickets_left as tickets_left,
    inventory_snapshots.snapshot_ts.1 as inventory_updated_at,
    events.start_date as start_date,
    events.end_date as end_date,
    toLowCardinality(if(recent_sales.currency = '', events.currency, recent_sales.currency)) as currency,
    events.is_over as is_over

from {{ ref('dim_events') }} as events
left join recent_sales on events.event_id = recent_sales.event_id
left join inventory_snapshots on events.event_id = inventory_snapshots.event_id
where not events.is_deleted
settings join_use_nulls = 0
