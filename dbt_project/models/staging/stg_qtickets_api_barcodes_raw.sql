with

-- The payload is made before columns are renamed, so that its JSON has the raw names.
raw_barcodes as (

    select *, formatRowNoNewline('JSONEachRow', *) as payload_json
    from {{ source('qtickets_raw', 'barcodes') }} final

)

select
    barcode_hash as barcode,
    show_id,
    price,
    coalesce(seat_name, '') as seat_name,
    {{ report_timestamp('checked_at') }} as checked_ts,
    if(checked_at is null, 'valid', 'scanned') as status,
    payload_json,
    {{ version_of('_fetched_at') }} as _ver

from raw_barcodes
