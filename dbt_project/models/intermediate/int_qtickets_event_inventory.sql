{{ config(order_by='event_id') }}

with

latest_snapshots as (

    select
        show_id,
        -- In a tuple, because argMax skips nulls, and null is what a snapshot holds if the seats could not be read.
        argMax(tuple(tickets_total, tickets_left), snapshot_at) as tickets
    from {{ ref('int_qtickets_show_snapshots') }}
    group by show_id

),

-- Only shows that are neither deleted nor over have tickets left to sell.
open_shows as (

    select show_id, event_id
    from {{ ref('stg_qtickets_api_shows_raw') }}
    where not is_deleted and (ends_at is null or ends_at >= {{ report_now() }})

),

open_show_inventory as (

    select
        open_shows.event_id as event_id,
        latest_snapshots.show_id != 0 as was_read,
        latest_snapshots.tickets.1 as tickets_total,
        latest_snapshots.tickets.2 as tickets_left
    from open_shows
    left join latest_snapshots on open_shows.show_id = latest_snapshots.show_id

),

event_inventory as (

    select
        event_id,
        countIf(not was_read or show.tickets_total is null) > 0 as is_unknown,
        sum(show.tickets_total) as tickets_total,
        sum(show.tickets_left) as tickets_left
    from open_show_inventory as show
    group by event_id

),

event_snapshots as (

    select toString(event_id) as event_id, max(snapshot_at) as snapshot_at
    from {{ ref('int_qtickets_show_snapshots') }}
    group by event_id

)

select
    events.event_id as event_id,
    nullIf(event_snapshots.snapshot_at, toDateTime64(0, 6, 'UTC')) as snapshot_at,
    -- Null means that seats are unknown, or that all shows are over: 0 is only for sold out.
    if(
        event_inventory.event_id = '' or event_inventory.is_unknown,
        null,
        toUInt64(coalesce(event_inventory.tickets_total, 0))
    ) as tickets_total,
    if(
        event_inventory.event_id = '' or event_inventory.is_unknown,
        null,
        toUInt64(coalesce(event_inventory.tickets_left, 0))
    ) as tickets_left

from {{ ref('stg_qtickets_api_events_raw') }} as events
left join event_inventory on events.event_id = event_inventory.event_id
left join event_snapshots on events.event_id = event_snapshots.event_id
settings join_use_nulls = 0
