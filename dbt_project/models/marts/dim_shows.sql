{{ config(order_by='(event_id, show_id)') }}

{#- int_qtickets_changed compares this table, as the last build left it, with the raw tables. #}
-- depends_on: {{ ref('int_qtickets_changed') }}

select
    shows.show_id as show_id,
    shows.event_id as event_id,
    if(events.event_name = '', concat('event ', shows.event_id), events.event_name) as event_name,
    shows.show_name as show_name,
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city,
    {{ report_timestamp('shows.starts_at') }} as start_ts,
    {{ report_timestamp('shows.ends_at') }} as end_ts,
    {{ report_date('shows.starts_at') }} as start_date,
    toLowCardinality(if(events.time_zone = '', '{{ report_tz() }}', events.time_zone)) as time_zone,
    -- As text: a DateTime column has one time zone, but each show has the time zone of its city.
    formatDateTime(shows.starts_at, '%F %R', time_zone) as start_local,
    toDateOrNull(substring(start_local, 1, 10)) as start_local_date,
    toUInt8OrNull(substring(start_local, 12, 2)) as start_local_hour,
    {{ report_timestamp('shows.sale_starts_at') }} as sale_start_ts,
    {{ report_timestamp('shows.sale_ends_at') }} as sale_end_ts,
    toUInt8(shows.is_deleted or events.is_deleted) as is_deleted,
    {{ version_of('shows.changed_at') }} as _ver,
    {{ report_date('shows.ends_at') }} as end_date,
    toUInt8(coalesce(shows.ends_at < {{ report_now() }}, false)) as is_over,
    events.venue as venue,
    events.venue_address as venue_address,
    toInt64(events.event_type_id) as event_type_id,
    toLowCardinality(events.age) as age

from {{ ref('stg_qtickets_api_shows_raw') }} as shows
left join {{ ref('stg_qtickets_api_events_raw') }} as events on shows.event_id = events.event_id
settings join_use_nulls = 0
