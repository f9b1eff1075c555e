{{ config(order_by='(show_id, snapshot_at)') }}

select
    show_id,
    snapshot_at,
    any(event_id) as event_id,
    -- Null means that the seats could not be read, which is not the same as 0.
    if(countIf(unreadable is not null) > 0, null, toUInt64(coalesce(sum(max_quantity), 0))) as tickets_total,
    if(countIf(unreadable is not null) > 0, null, toUInt64(coalesce(sum(free_quantity), 0))) as tickets_left

from {{ source('qtickets_raw', 'inventory') }} final
where snapshot_at <= {{ report_now() }}
group by show_id, snapshot_at
