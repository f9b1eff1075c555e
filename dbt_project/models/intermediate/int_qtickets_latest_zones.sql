{{ config(order_by='(show_id, zone_id, price)') }}

with

latest_snapshots as (

    select show_id, max(snapshot_at) as snapshot_at
    from {{ ref('int_qtickets_show_snapshots') }}
    group by show_id

)

select
    show_id,
    snapshot_at,
    zone_id,
    price,
    toString(any(event_id)) as event_id,
    coalesce(any(currency_id), '') as currency,
    toUInt64(coalesce(sum(max_quantity), 0)) as tickets_total,
    toUInt64(coalesce(sum(free_quantity), 0)) as tickets_left,
    toUInt64(coalesce(sum(disabled_quantity), 0)) as tickets_disabled

from {{ source('qtickets_raw', 'inventory') }} final
where
    unreadable is null
    and (show_id, snapshot_at) in (select show_id, snapshot_at from latest_snapshots)
group by show_id, snapshot_at, zone_id, price
