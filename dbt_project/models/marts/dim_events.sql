{{ config(order_by='event_id') }}

{#- int_qtickets_changed compares this table, as the last build left it, with the raw tables. #}
-- depends_on: {{ ref('int_qtickets_changed') }}

with

show_dates as (

    select
        event_id,
        min(starts_at) as starts_at,
        max(shows.ends_at) as ends_at,
        countIf(shows.ends_at is null or shows.ends_at >= {{ report_now() }}) = 0 as is_over
    from {{ ref('stg_qtickets_api_shows_raw') }} as shows
    where not is_deleted
    group by event_id

),

listed_events as (

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
        toUInt8(events.is_deleted) as is_deleted,
        toUInt8(1) as is_listed,
        toUInt8(show_dates.is_over) as is_over,
        events.venue as venue,
        events.venue_address as venue_address,
        events.event_type_id as event_type_id,
        events.age as age,
        events.time_zone as time_zone
    from {{ ref('stg_qtickets_api_events_raw') }} as events
    left join show_dates on events.event_id = show_dates.event_id
    left join {{ ref('int_qtickets_event_inventory') }} as inventory
        on events.event_id = inventory.event_id

),

-- The service does not always list an event whose tickets it sold. Without a row here, its sales
-- would be in the facts but on no dashboard.
unlisted_events as (

    select
        event_id,
        concat('event ', event_id) as event_name,
        'unknown' as city,
        null as start_date,
        null as end_date,
        null as tickets_total,
        null as tickets_left,
        max(_ver) as _ver,
        toDateTime(0, 'UTC') as _loaded_at,
        -- The currency of most of its tickets; of equal ones, the first by name.
        argMin(currency, (-toInt64(tickets), currency)) as currency,
        toUInt8(0) as is_deleted,
        toUInt8(0) as is_listed,
        toUInt8(0) as is_over,
        '' as venue,
        '' as venue_address,
        0 as event_type_id,
        '' as age,
        '{{ report_tz() }}' as time_zone
    from (
        select
            event_id,
            toString(currency) as currency,
            sum(tickets_sold) as tickets,
            max(_ver) as _ver
        from {{ ref('fact_qtickets_sales_by_show_daily') }}
        where event_id not in (select event_id from {{ ref('stg_qtickets_api_events_raw') }})
        group by event_id, currency
    )
    group by event_id

)

select
    event_id,
    event_name,
    toLowCardinality(city) as city,
    start_date,
    end_date,
    tickets_total,
    tickets_left,
    _ver,
    _loaded_at,
    toLowCardinality(currency) as currency,
    is_deleted,
    is_listed,
    is_over,
    venue,
    venue_address,
    toInt64(event_type_id) as event_type_id,
    toLowCardinality(age) as age,
    toLowCardinality(time_zone) as time_zone

from (
    select * from listed_events
    union all
    select * from unlisted_events
)
settings join_use_nulls = 0
