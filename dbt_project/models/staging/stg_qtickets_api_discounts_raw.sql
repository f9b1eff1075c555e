with

-- The payload is made before columns are renamed, so that its JSON has the raw names.
raw_discounts as (

    select *, formatRowNoNewline('JSONEachRow', *) as payload_json
    from {{ source('qtickets_raw', 'discounts') }} final

)

select
    id as discount_id,
    coalesce(name, '') as name,
    coalesce(type, '') as type,
    {{ report_timestamp('active_from') }} as valid_from,
    {{ report_timestamp('active_to') }} as valid_to,
    multiIf(deleted_at is not null, 'deleted', coalesce(is_active, false), 'active', 'inactive') as status,
    payload_json,
    {{ version_of("coalesce(updated_at, created_at, toDateTime64(0, 6, 'UTC'))") }} as _ver

from raw_discounts
