{{ config(
    materialized='partial_rebuild',
    rebuild_key='month',
    order_by='(event_id, show_id, sales_date, currency)',
    partition_by='toYear(sales_date)',
) }}

select
    sales_date,
    show_id,
    event_id,
    city,
    {{ tickets_and_revenue() }},
    max(tickets._ver) as _ver,
    currency,
    {{ sales_measures() }},
    sumIf(tickets.entrances, ticket_state = 'sold') as entrances,
    sumIf(tickets.entrances, ticket_state = 'sold' and scan_ts is not null) as tickets_scanned,
    minIf(scan_ts, ticket_state = 'sold') as first_scan_ts,
    maxIf(scan_ts, ticket_state = 'sold') as last_scan_ts,
    maxIf(tickets._ver, ticket_state = 'sold') as sold_ver

from {{ ref('fact_qtickets_tickets') }} as tickets
where {{ is_changed('month') }}
group by sales_date, show_id, event_id, city, currency
