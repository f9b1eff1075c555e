with

clients as (

    select id_hash, email_hash, phone_hash from {{ source('qtickets_raw', 'clients') }} final

),

buyers as (

    select
        assumeNotNull(buyer_hash) as buyer_hash,
        count() as orders,
        min(coalesce(payed_at, created_at)) as first_sale_at,
        max(coalesce(payed_at, created_at)) as last_sale_at
    from {{ source('qtickets_raw', 'orders') }} final
    where payed and buyer_hash is not null
    group by buyer_hash

)

-- The list of clients is loaded only on request, so buyers known from orders alone have rows too.
select
    if(buyers.orders > 0, buyers.buyer_hash, clients.id_hash) as client_id,
    clients.email_hash as email_hash,
    clients.phone_hash as phone_hash,
    buyers.orders as orders,
    {{ report_timestamp('if(buyers.orders > 0, buyers.first_sale_at, null)') }} as first_sale_ts,
    {{ report_timestamp('if(buyers.orders > 0, buyers.last_sale_at, null)') }} as last_sale_ts

from clients
full outer join buyers on clients.id_hash = buyers.buyer_hash
settings join_use_nulls = 0
