with

events as (

    select
        *,
        -- Spaces of any kind: with a no-break space the city would be another one.
        lowerUTF8(trim(replaceRegexpAll(coalesce(city_name, ''), '[\\s\\x{00A0}\\x{2000}-\\x{200B}\\x{202F}]+', ' ')))
            as trimmed_city
    from {{ source('qtickets_raw', 'events') }} final

)

select
    toString(id) as event_id,
    coalesce(name, '') as event_name,
    if(trimmed_city = '', 'unknown', trimmed_city) as city,
    -- ClickHouse fails a query that names a time zone it does not know.
    if(
        city_timezone in (select time_zone from system.time_zones), assumeNotNull(city_timezone), '{{ report_tz() }}'
    ) as time_zone,
    trim(coalesce(place_name, '')) as venue,
    trim(coalesce(place_address, '')) as venue_address,
    coalesce(event_type_id, 0) as event_type_id,
    coalesce(age, '') as age,
    coalesce(currency_id, '') as currency,
    deleted_at is not null as is_deleted,
    coalesce(updated_at, created_at, toDateTime64(0, 6, 'UTC')) as changed_at,
    _fetched_at as loaded_at

from events
