with

-- Before any column gets another name: JSON takes the names from here.
stored as (

    select *, formatRowNoNewline('JSONEachRow', *) as payload_json
    from {{ source('qtickets_raw', 'price_shades') }} final

)

select
    id as price_shade_id,
    coalesce(name, '') as name,
    coalesce(color, '') as color,
    payload_json,
    {{ version_of('_fetched_at') }} as _ver

from stored
