select
    toString(id) as event_id,
    coalesce(name, '') as event_name,
    if(trim(coalesce(city_name, '')) = '', 'unknown', lowerUTF8(trim(coalesce(city_name, '')))) as city,
    coalesce(city_timezone, '') as city_timezone,
    coalesce(currency_id, '') as currency,
    deleted_at is not null as is_deleted,
    coalesce(updated_at, created_at, toDateTime64(0, 6, 'UTC')) as changed_at,
    _fetched_at as loaded_at

from {{ source('qtickets_raw', 'events') }} final
