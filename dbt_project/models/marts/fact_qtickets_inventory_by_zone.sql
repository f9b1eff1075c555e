{{ config(order_by='(event_id, show_id, zone_id, price)') }}

with

latest_snapshots as (

    select show_id, max(snapshot_at) as snapshot_at
    from {{ ref('int_qtickets_show_snapshots') }}
    group by show_id

),

zones as (

    select
        show_id,
        snapshot_at,
        zone_id,
        price,
        any(event_id) as event_id,
        any(currency_id) as currency_id,
        toUInt64(coalesce(sum(max_quantity), 0)) as tickets_total,
        toUInt64(coalesce(sum(free_quantity), 0)) as tickets_left,
        toUInt64(coalesce(sum(disabled_quantity), 0)) as tickets_disabled
    from {{ source('qtickets_raw', 'inventory') }} final
    where
        unreadable is null
        and (show_id, snapshot_at) in (select show_id, snapshot_at from latest_snapshots)
    group by show_id, snapshot_at, zone_id, price

)

select
    {{ report_timestamp('zones.snapshot_at') }} as snapshot_ts,
    zones.show_id as show_id,
    toString(zones.event_id) as event_id,
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city,
    zones.zone_id as zone_id,
    zones.price as price,
    zones.tickets_total as tickets_total,
    zones.tickets_left as tickets_left,
    zones.tickets_total - least(zones.tickets_left, zones.tickets_total) as tickets_taken,
    zones.tickets_disabled as tickets_disabled,
    if(zones.tickets_total = 0, null, round(tickets_taken / zones.tickets_total, 4)) as sell_through,
    toLowCardinality(if(coalesce(zones.currency_id, '') = '', events.currency, coalesce(zones.currency_id, ''))) as currency,
    {{ version_of('zones.snapshot_at') }} as _ver

from zones
left join {{ ref('stg_qtickets_api_events_raw') }} as events on toString(zones.event_id) = events.event_id
settings join_use_nulls = 0
