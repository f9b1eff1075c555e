with

-- Unpaid orders are read from the first load on. Before it, only the paid ones of that time are known, which
-- would look as if all reservations had been paid.
first_load as (

    select min(inserted_at) as first_load_at
    from {{ source('qtickets_raw', '_dlt_loads') }}

)

select
    id as order_id,
    toString(event_id) as event_id,
    {{ report_date('created_at') }} as created_date,
    created_at,
    payed as is_paid,
    deleted_at is not null as is_deleted,
    toLowCardinality(currency_id) as currency,
    coalesce(price, toDecimal64(0, 2)) as price,
    coalesce(updated_at, created_at) as changed_at

from {{ source('qtickets_raw', 'orders') }} final
where created_at >= (select first_load_at from first_load)
