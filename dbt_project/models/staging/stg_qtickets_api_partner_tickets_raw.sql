with

-- The payload is made before columns are renamed, so that its JSON has the raw names.
raw_partner_tickets as (

    select *, formatRowNoNewline('JSONEachRow', *) as payload_json
    from {{ source('qtickets_raw', 'partner_tickets') }} final

)

select
    toString(id) as partner_ticket_id,
    toString(event_id) as event_id,
    show_id,
    barcode_hash as barcode,
    price,
    {{ report_timestamp('paid_at') }} as paid_ts,
    {{ report_timestamp('reserved_to') }} as reserved_to_ts,
    multiIf(coalesce(deleted, false), 'cancelled', coalesce(paid, false), 'paid', 'reserved') as status,
    payload_json,
    {{ version_of('_fetched_at') }} as _ver

from raw_partner_tickets
