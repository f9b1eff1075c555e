{{ config(order_by='(event_id, show_id)') }}

select
    show_id,
    event_id,
    city,
    sum(days.entrances) as tickets_sold,
    sum(days.tickets_scanned) as tickets_scanned,
    if(tickets_sold = 0, null, round(tickets_scanned / tickets_sold, 4)) as attendance,
    min(days.first_scan_ts) as first_scan_ts,
    max(days.last_scan_ts) as last_scan_ts,
    max(days._ver) as _ver

from {{ ref('fact_qtickets_sales_by_show_daily') }} as days
group by show_id, event_id, city
-- Not the show of a season ticket, if none of its related tickets is for it.
having sum(days.entrances) > 0 or sum(days.tickets_sold) = 0
