{{ config(order_by='(event_id, show_id, currency)') }}

with

latest_snapshots as (

    select
        show_id,
        max(snapshot_at) as last_snapshot_at,
        -- In a tuple, because argMax skips nulls, and null is what a snapshot holds if the seats could not be read.
        argMax(tuple(event_id, tickets_total, tickets_left), snapshot_at) as snapshot
    from {{ ref('int_qtickets_show_snapshots') }}
    group by show_id

),

sales as (

    select
        show_id,
        event_id,
        currency,
        sum(days.tickets_sold) as tickets_sold,
        sum(days.revenue) as revenue,
        sum(days.gross_revenue) as gross_revenue,
        max(days._ver) as _ver
    from {{ ref('fact_qtickets_sales_by_show_daily') }} as days
    group by show_id, event_id, currency

),

-- A show has a row if its seats were read or if it sold tickets.
shows as (

    select
        if(sales._ver != 0, sales.show_id, latest_snapshots.show_id) as show_id,
        if(sales._ver != 0, sales.event_id, toString(latest_snapshots.snapshot.1)) as event_id,
        if(latest_snapshots.show_id != 0, latest_snapshots.last_snapshot_at, null) as snapshot_at,
        if(latest_snapshots.show_id != 0, latest_snapshots.snapshot.2, null) as tickets_total,
        if(latest_snapshots.show_id != 0, latest_snapshots.snapshot.3, null) as tickets_left,
        sales.tickets_sold as tickets_sold,
        sales.revenue as revenue,
        sales.gross_revenue as gross_revenue,
        sales.currency as sales_currency,
        sales._ver as sales_ver
    from latest_snapshots
    full outer join sales on latest_snapshots.show_id = sales.show_id

)

select
    {{ report_timestamp('shows.snapshot_at') }} as snapshot_ts,
    shows.show_id as show_id,
    shows.event_id as event_id,
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city,
    shows.tickets_total as tickets_total,
    shows.tickets_left as tickets_left,
    shows.tickets_total - least(shows.tickets_left, shows.tickets_total) as tickets_taken,
    if(shows.tickets_total = 0, null, round(tickets_taken / shows.tickets_total, 4)) as sell_through,
    shows.tickets_sold as tickets_sold,
    toDecimal64(shows.revenue, 2) as revenue,
    toDecimal64(shows.gross_revenue, 2) as gross_revenue,
    if(shows.tickets_sold = 0, null, toDecimal64(shows.revenue / shows.tickets_sold, 2)) as average_price,
    toLowCardinality(if(shows.sales_currency = '', events.currency, shows.sales_currency)) as currency,
    greatest(shows.sales_ver, {{ version_of("coalesce(shows.snapshot_at, toDateTime64(0, 6, 'UTC'))") }}) as _ver

from shows
left join {{ ref('stg_qtickets_api_events_raw') }} as events on shows.event_id = events.event_id
settings join_use_nulls = 0
