with

events as (

    select event_id, event_name, tickets_total, tickets_left from {{ ref('dim_events') }}

),

-- In a tuple, so that an event without a row here gets null from the join, not 1970.
inventory_snapshots as (

    select event_id, tuple(snapshot_ts) as snapshot_ts
    from {{ ref('fact_qtickets_inventory_latest') }}

)

select
    sales.event_id as event_id,
    events.event_name as event_name,
    sales.city as city,
    sales.sales_date as sales_date,
    sales.tickets_sold as tickets_sold,
    sales.revenue as revenue,
    events.tickets_total as tickets_total,
    events.tickets_left as tickets_left,
    inventory_snapshots.snapshot_ts.1 as snapshot_ts,
    sales.currency as currency

from {{ ref('fact_qtickets_sales_daily') }} as sales
left join events on sales.event_id = events.event_id
left join inventory_snapshots on sales.event_id = inventory_snapshots.event_id
where sales.sales_date between {{ report_today() }} - 13 and {{ report_today() }}
settings join_use_nulls = 0
