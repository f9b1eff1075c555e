with

orders as (

    select
        id,
        _fetched_at,
        event_id,
        payed_at,
        created_at,
        updated_at,
        deleted_at,
        toLowCardinality(currency_id) as currency_id,
        buyer_hash,
        discount_id,
        promo_code_id,
        {{ utm_of('utm') }} as marks
    from {{ source('qtickets_raw', 'orders') }} final
    where payed

),

tickets as (

    select
        id,
        order_id,
        _fetched_at,
        show_id,
        quantity,
        price,
        discount_value,
        service_fee_amount,
        refunded_deduction_amount,
        refunded_at,
        deleted_at,
        checked_at,
        updated_at
    from {{ source('qtickets_raw', 'tickets') }} final

)

select
    orders.id as order_id,
    tickets.id as ticket_id,
    toString(orders.event_id) as event_id,
    tickets.show_id as show_id,
    coalesce(orders.payed_at, orders.created_at) as payed_at,
    orders.currency_id as currency,
    toUInt32(tickets.quantity) as quantity,
    -- A refund outranks a cancellation: a refunded ticket is usually marked deleted as well.
    toLowCardinality(multiIf(
        tickets.refunded_at is not null, 'refunded',
        tickets.deleted_at is not null or orders.deleted_at is not null, 'cancelled',
        'sold'
    )) as ticket_state,
    toDecimal64(tickets.price * tickets.quantity, 2) as amount,
    toDecimal64(coalesce(tickets.discount_value, 0) * tickets.quantity, 2) as discount_amount,
    toDecimal64(coalesce(tickets.service_fee_amount, 0) * tickets.quantity, 2) as service_fee_amount,
    toDecimal64(coalesce(tickets.refunded_deduction_amount, 0), 2) as refund_deduction_amount,
    tickets.refunded_at as refunded_at,
    tickets.checked_at as checked_at,
    greatest(
        coalesce(orders.updated_at, orders.created_at), coalesce(tickets.updated_at, orders.created_at)
    ) as changed_at,
    coalesce(orders.buyer_hash, '') as buyer_hash,
    coalesce(orders.discount_id, 0) as discount_id,
    coalesce(orders.promo_code_id, 0) as promo_code_id,
    {% for name in utm_names() -%}
    toLowCardinality(orders.marks.{{ name }}) as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}

from tickets
-- The newest answer about an order decides which tickets it has.
inner join orders on tickets.order_id = orders.id and tickets._fetched_at = orders._fetched_at
