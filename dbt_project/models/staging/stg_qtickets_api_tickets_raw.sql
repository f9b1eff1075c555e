with

paid_orders as (

    select
        id,
        _fetched_at,
        event_id,
        payed_at,
        created_at,
        updated_at,
        deleted_at,
        vanished_at,
        toLowCardinality(currency_id) as currency_id,
        buyer_hash,
        discount_id,
        promo_code_id,
        secondary_orders is not null as is_exchanged,
        {{ utm_of('utm') }} as utm_values
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
        refunded_amount,
        refunded_deduction_amount,
        refunded_at,
        deleted_at,
        checked_at,
        updated_at
    from {{ source('qtickets_raw', 'tickets') }} final

),

-- Of an exchanged order the deleted tickets were exchanged; if none is deleted, all were: the vendor's
-- documentation shows such an order with its tickets alive, and both would count.
partly_exchanged_orders as (

    select distinct order_id
    from {{ source('qtickets_raw', 'tickets') }} final
    where deleted_at is not null and order_id in (select id from paid_orders where is_exchanged)

)

select
    paid_orders.id as order_id,
    tickets.id as ticket_id,
    toString(paid_orders.event_id) as event_id,
    tickets.show_id as show_id,
    coalesce(paid_orders.payed_at, paid_orders.created_at) as payed_at,
    paid_orders.currency_id as currency,
    toUInt32(tickets.quantity) as quantity,
    -- A refund takes precedence: the vendor usually marks a refunded ticket as deleted too.
    toLowCardinality(multiIf(
        tickets.refunded_at is not null, 'refunded',
        paid_orders.is_exchanged and (
            tickets.deleted_at is not null
            or paid_orders.deleted_at is not null
            or tickets.order_id not in (select order_id from partly_exchanged_orders)
        ), 'exchanged',
        tickets.deleted_at is not null or paid_orders.deleted_at is not null, 'cancelled',
        paid_orders.vanished_at is not null, 'vanished',
        'sold'
    )) as ticket_state,
    toDecimal64(tickets.price * tickets.quantity, 2) as amount,
    toDecimal64(coalesce(tickets.discount_value, 0) * tickets.quantity, 2) as discount_amount,
    toDecimal64(coalesce(tickets.service_fee_amount, 0) * tickets.quantity, 2) as service_fee_amount,
    toDecimal64(coalesce(tickets.refunded_deduction_amount, 0), 2) as refund_deduction_amount,
    -- What the vendor says was returned; where it says nothing, the price less the deduction.
    toDecimal64(multiIf(
        tickets.refunded_at is null, toDecimal64(0, 2),
        coalesce(tickets.refunded_amount, 0) > 0, assumeNotNull(tickets.refunded_amount),
        tickets.price * tickets.quantity - coalesce(tickets.refunded_deduction_amount, 0)
    ), 2) as paid_back_amount,
    tickets.refunded_at as refunded_at,
    multiIf(
        ticket_state = 'vanished', paid_orders.vanished_at,
        ticket_state in ('cancelled', 'exchanged'),
        coalesce(tickets.deleted_at, paid_orders.deleted_at, paid_orders.updated_at, paid_orders.created_at),
        null
    ) as cancelled_at,
    tickets.checked_at as checked_at,
    greatest(
        coalesce(paid_orders.updated_at, paid_orders.created_at),
        coalesce(tickets.updated_at, paid_orders.created_at),
        coalesce(paid_orders.vanished_at, paid_orders.created_at)
    ) as changed_at,
    coalesce(paid_orders.buyer_hash, '') as buyer_hash,
    coalesce(paid_orders.discount_id, 0) as discount_id,
    coalesce(paid_orders.promo_code_id, 0) as promo_code_id,
    {% for name in utm_names() -%}
    toLowCardinality(paid_orders.utm_values.{{ name }}) as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}

from tickets
-- The newest version of an order defines which tickets it has.
inner join paid_orders on tickets.order_id = paid_orders.id and tickets._fetched_at = paid_orders._fetched_at
