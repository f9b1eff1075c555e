with

snapshots as (

    select
        snapshot_at,
        toString(event_id) as event_id,
        -- One show that could not be read makes the event's total unknown: the sum of the others would be wrong.
        if(countIf(unreadable is not null) > 0, null, sum(max_quantity)) as tickets_total,
        if(countIf(unreadable is not null) > 0, null, sum(free_quantity)) as tickets_left
    from {{ source('qtickets_raw', 'inventory') }} final
    group by snapshot_at, event_id

),

events as (

    select * from {{ ref('stg_qtickets_api_events_raw') }}

)

select
    {{ report_timestamp('snapshots.snapshot_at') }} as snapshot_ts,
    snapshots.event_id as event_id,
    events.event_name as event_name,
    if(events.city = '', 'unknown', events.city) as city,
    snapshots.tickets_total as tickets_total,
    snapshots.tickets_left as tickets_left,
    {{ version_of('snapshots.snapshot_at') }} as _ver,
    concat(snapshots.event_id, '|', toString(snapshots.snapshot_at)) as _dedup_key

from snapshots
left join events on snapshots.event_id = events.event_id
settings join_use_nulls = 0
