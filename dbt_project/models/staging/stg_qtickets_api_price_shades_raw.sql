with

-- The payload is made before columns are renamed, so that its JSON has the raw names.
raw_price_shades as (

    select *, formatRowNoNewline('JSONEachRow', *) as payload_json
    from {{ source('qtickets_raw', 'price_shades') }} final

)

select
    id as price_shade_id,
    coalesce(name, '') as name,
    coalesce(color, '') as color,
    payload_json,
    {{ version_of('_fetched_at') }} as _ver

from raw_price_shades
