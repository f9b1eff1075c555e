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
        toLowCardinality(coalesce(payment_type_id, '')) as payment_type,
        coalesce(site_id, 0) as site_id,
        coalesce(is_box_office, false) as is_box_office,
        buyer_hash,
        discount_id,
        promo_code_id,
        secondary_orders is not null as is_exchanged,
        primary_orders is not null as is_of_exchange,
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
        updated_at,
        toLowCardinality(coalesce(multiprice_code, '')) as tariff,
        toLowCardinality({{ zone_of_seat("coalesce(seat_id, '')", "coalesce(multiprice_code, '')") }}) as zone,
        main_ticket_id,
        coalesce(related_tickets, 0) > 0 as is_season_ticket
    from {{ source('qtickets_raw', 'tickets') }} final

),

-- Of an exchanged order the deleted tickets were exchanged; if none is deleted, all were: the vendor's
-- documentation shows such an order with its tickets alive, and both would count.
partly_exchanged_orders as (

    select distinct order_id
    from {{ source('qtickets_raw', 'tickets') }} final
    where deleted_at is not null and order_id in (select id from paid_orders where is_exchanged)

),

-- Tickets of orders that were made by an exchange. If a ticket kept its id, it also stands in the replaced order,
-- which is not always marked; the newer order has it.
received_tickets as (

    select
        tickets.id as id,
        argMax(tickets.order_id, exchanges.paid_at) as order_id,
        max(exchanges.paid_at) as received_at
    from {{ source('qtickets_raw', 'tickets') }} as tickets final
    inner join (
        select id, coalesce(payed_at, created_at) as paid_at from paid_orders where is_of_exchange
    ) as exchanges on tickets.order_id = exchanges.id
    -- By the primary key: few orders are of exchanges.
    where tickets.order_id in (select id from paid_orders where is_of_exchange)
    group by id

),

-- A season ticket is one ticket sold, as long as one of its related tickets is active. They are refunded one
-- by one, so the money is theirs if they have prices.
season_tickets as (

    select
        order_id,
        coalesce(main_ticket_id, id) as main_id,
        _fetched_at,
        countIf(main_ticket_id is not null) as related,
        sumIf(price * quantity, main_ticket_id is not null) > 0 as related_have_prices,
        countIf(main_ticket_id is not null and refunded_at is null and deleted_at is null) as active,
        sumIf(
            price * quantity, main_ticket_id is not null and refunded_at is null and deleted_at is null
        ) as active_amount,
        anyIf(refunded_at, main_ticket_id is null) as main_refunded_at,
        anyIf(deleted_at, main_ticket_id is null) as main_deleted_at,
        maxIf(refunded_at, main_ticket_id is not null) as last_refunded_at,
        maxIf(deleted_at, main_ticket_id is not null) as last_deleted_at
    from tickets
    where main_ticket_id is not null or is_season_ticket
    group by order_id, main_id, _fetched_at

),

-- Each ticket with its season ticket, if it is one or belongs to one.
marked_tickets as (

    select
        tickets.*,
        received.order_id != 0 and received.order_id != tickets.order_id as is_moved,
        if(is_moved, received.received_at, null) as moved_at,
        tickets.main_ticket_id is not null as is_related,
        coalesce(season.related, 0) > 0 and not is_related as is_main,
        (is_main and season.related_have_prices) or (is_related and not season.related_have_prices) as has_no_amount,
        is_main and season.related_have_prices and tickets.refunded_at is not null as is_refunded_by_related,
        coalesce(season.active_amount, toDecimal64(0, 2)) as active_amount,
        multiIf(
            is_main, coalesce(tickets.refunded_at, if(season.active = 0, season.last_refunded_at, null)),
            is_related and tickets.deleted_at is null, coalesce(tickets.refunded_at, season.main_refunded_at),
            tickets.refunded_at
        ) as own_refunded_at,
        multiIf(
            is_main, coalesce(tickets.deleted_at, if(season.active = 0, season.last_deleted_at, null)),
            is_related, coalesce(tickets.deleted_at, season.main_deleted_at),
            tickets.deleted_at
        ) as own_deleted_at
    from tickets
    left join season_tickets as season
        on tickets.order_id = season.order_id
        and coalesce(tickets.main_ticket_id, tickets.id) = season.main_id
        and tickets._fetched_at = season._fetched_at
    left join received_tickets as received on tickets.id = received.id

)

select
    paid_orders.id as order_id,
    tickets.id as ticket_id,
    toString(paid_orders.event_id) as event_id,
    tickets.show_id as show_id,
    coalesce(paid_orders.payed_at, paid_orders.created_at) as payed_at,
    paid_orders.currency_id as currency,
    toUInt32(if(tickets.is_related, 0, tickets.quantity)) as quantity,
    toUInt32(if(tickets.is_main, 0, tickets.quantity)) as entrances,
    -- A refund takes precedence: the vendor usually marks a refunded ticket as deleted too.
    toLowCardinality(multiIf(
        tickets.own_refunded_at is not null, 'refunded',
        tickets.is_moved, 'exchanged',
        paid_orders.is_exchanged and (
            tickets.own_deleted_at is not null
            or paid_orders.deleted_at is not null
            or tickets.order_id not in (select order_id from partly_exchanged_orders)
        ), 'exchanged',
        tickets.own_deleted_at is not null or paid_orders.deleted_at is not null, 'cancelled',
        paid_orders.vanished_at is not null, 'vanished',
        'sold'
    )) as ticket_state,
    toDecimal64(if(tickets.has_no_amount, 0, tickets.price * tickets.quantity), 2) as amount,
    toDecimal64(
        if(tickets.has_no_amount, 0, coalesce(tickets.discount_value, 0) * tickets.quantity), 2
    ) as discount_amount,
    toDecimal64(
        if(tickets.has_no_amount, 0, coalesce(tickets.service_fee_amount, 0) * tickets.quantity), 2
    ) as service_fee_amount,
    toDecimal64(coalesce(tickets.refunded_deduction_amount, 0), 2) as refund_deduction_amount,
    -- What the vendor says was returned; where it says nothing, the price less the deduction. A season ticket
    -- that is refunded as a whole returns what its related tickets do not, which may be less than nothing.
    toDecimal64(multiIf(
        tickets.own_refunded_at is null, toDecimal64(0, 2),
        tickets.is_refunded_by_related and coalesce(tickets.refunded_amount, 0) > 0,
        assumeNotNull(tickets.refunded_amount) - tickets.active_amount,
        coalesce(tickets.refunded_amount, 0) > 0, assumeNotNull(tickets.refunded_amount),
        amount - coalesce(tickets.refunded_deduction_amount, 0)
    ), 2) as paid_back_amount,
    tickets.own_refunded_at as refunded_at,
    multiIf(
        ticket_state = 'vanished', paid_orders.vanished_at,
        ticket_state in ('cancelled', 'exchanged'),
        coalesce(tickets.moved_at, tickets.own_deleted_at, paid_orders.deleted_at, paid_orders.updated_at, paid_orders.created_at),
        null
    ) as cancelled_at,
    tickets.checked_at as checked_at,
    greatest(
        coalesce(paid_orders.updated_at, paid_orders.created_at),
        coalesce(tickets.updated_at, paid_orders.created_at),
        coalesce(paid_orders.vanished_at, paid_orders.created_at)
    ) as changed_at,
    coalesce(paid_orders.buyer_hash, '') as buyer_hash,
    paid_orders.payment_type as payment_type,
    paid_orders.site_id as site_id,
    toUInt8(paid_orders.is_box_office) as is_box_office,
    tickets.tariff as tariff,
    tickets.zone as zone,
    toUInt8(tickets.price = 0 and not tickets.is_related and not tickets.has_no_amount) as is_free,
    toUInt8(tickets.is_main) as is_season_ticket,
    coalesce(tickets.main_ticket_id, 0) as main_ticket_id,
    coalesce(paid_orders.discount_id, 0) as discount_id,
    coalesce(paid_orders.promo_code_id, 0) as promo_code_id,
    {% for name in utm_names() -%}
    toLowCardinality(paid_orders.utm_values.{{ name }}) as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}

from marked_tickets as tickets
-- The newest version of an order defines which tickets it has.
inner join paid_orders on tickets.order_id = paid_orders.id and tickets._fetched_at = paid_orders._fetched_at
