{{ config(order_by='(event_id, city)') }}

select
    {{ report_timestamp('inventory.snapshot_at') }} as snapshot_ts,
    events.event_id as event_id,
    events.event_name as event_name,
    events.city as city,
    inventory.tickets_total as tickets_total,
    inventory.tickets_left as tickets_left,
    {{ version_of('coalesce(inventory.snapshot_at, events.changed_at)') }} as _ver

from {{ ref('stg_qtickets_api_events_raw') }} as events
inner join {{ ref('int_qtickets_event_inventory') }} as inventory on events.event_id = inventory.event_id
where not events.is_deleted
