{{ config(order_by='(event_id, show_id)') }}

select
    show_id,
    event_id,
    city,
    sumIf(quantity, ticket_state = 'sold') as tickets_sold,
    sumIf(quantity, ticket_state = 'sold' and checked_at is not null) as tickets_scanned,
    if(tickets_sold = 0, null, round(tickets_scanned / tickets_sold, 4)) as attendance,
    {{ report_timestamp("minIf(checked_at, ticket_state = 'sold')") }} as first_scan_ts,
    {{ report_timestamp("maxIf(checked_at, ticket_state = 'sold')") }} as last_scan_ts,
    max(_ver) as _ver

from {{ ref('int_qtickets_paid_tickets') }}
group by show_id, event_id, city
