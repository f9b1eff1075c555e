{{ config(order_by='event_id') }}

with

show_dates as (

    select
        event_id,
        min(starts_at) as starts_at,
        max(ends_at) as ends_at
    from {{ ref('stg_qtickets_api_shows_raw') }}
    where not is_deleted
    group by event_id

)

select
    events.event_id as event_id,
    events.event_name as event_name,
    events.city as city,
    {{ report_date('show_dates.starts_at') }} as start_date,
    {{ report_date('show_dates.ends_at') }} as end_date,
    inventory.tickets_total as tickets_total,
    inventory.tickets_left as tickets_left,
    {{ version_of('events.changed_at') }} as _ver,
    toDateTime(events.loaded_at, 'UTC') as _loaded_at,
    events.currency as currency,
    toUInt8(events.is_deleted) as is_deleted

from {{ ref('stg_qtickets_api_events_raw') }} as events
left join show_dates on events.event_id = show_dates.event_id
left join {{ ref('int_qtickets_event_inventory') }} as inventory on events.event_id = inventory.event_id
