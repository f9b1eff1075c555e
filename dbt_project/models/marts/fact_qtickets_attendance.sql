{{ config(order_by='(event_id, show_id)') }}

select
    show_id,
    event_id,
    city,
    sum(days.entrances) as tickets_sold,
    sum(days.tickets_scanned) as tickets_scanned,
    if(tickets_sold = 0, null, round(tickets_scanned / tickets_sold, 4)) as attendance,
    {{ report_timestamp('min(first_scan_at)') }} as first_scan_ts,
    {{ report_timestamp('max(last_scan_at)') }} as last_scan_ts,
    max(days._ver) as _ver

from {{ ref('int_qtickets_show_days') }} as days
group by show_id, event_id, city
-- Not the show of a season ticket, if none of its related tickets is for it.
having sum(days.entrances) > 0 or sum(days.tickets_sold) = 0
