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
    currency,
    {{ tickets_and_revenue() }},
    sumIf(quantity, ticket_state = 'sold' and checked_at is not null) as tickets_scanned,
    toDecimal64(sum(amount), 2) as gross_revenue,
    minIf(checked_at, ticket_state = 'sold') as first_scan_at,
    maxIf(checked_at, ticket_state = 'sold') as last_scan_at,
    max(tickets._ver) as _ver,
    maxIf(tickets._ver, ticket_state = 'sold') as sold_ver

from {{ ref('int_qtickets_paid_tickets') }} as tickets
where {{ is_changed('month') }}
group by sales_date, show_id, event_id, city, currency
