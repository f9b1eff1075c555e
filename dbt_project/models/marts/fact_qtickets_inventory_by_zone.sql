{{ config(order_by='(event_id, show_id, zone_id, price)') }}

select
    {{ report_timestamp('zones.snapshot_at') }} as snapshot_ts,
    zones.show_id as show_id,
    zones.event_id as event_id,
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city,
    zones.zone_id as zone_id,
    zones.price as price,
    zones.tickets_total as tickets_total,
    zones.tickets_left as tickets_left,
    zones.tickets_total - least(zones.tickets_left, zones.tickets_total) as tickets_taken,
    zones.tickets_disabled as tickets_disabled,
    if(zones.tickets_total = 0, null, round(tickets_taken / zones.tickets_total, 4)) as sell_through,
    toLowCardinality(if(zones.currency = '', events.currency, zones.currency)) as currency,
    {{ version_of('zones.snapshot_at') }} as _ver

from {{ ref('int_qtickets_latest_zones') }} as zones
left join {{ ref('stg_qtickets_api_events_raw') }} as events on zones.event_id = events.event_id
settings join_use_nulls = 0
