-- Not ordered by buyer_hash: hashes are random, and sorting by them took a third of this model's time.
{{ config(
    materialized='partial_rebuild',
    rebuild_key='buyer_hash',
    order_by='first_order_ts',
    settings=merge_only_small_parts(),
) }}

select
    buyer_hash,
    min(sale_ts) as first_order_ts,
    max(sale_ts) as last_order_ts,
    uniqExactIf(order_id, ticket_state = 'sold') as orders,
    sumIf(quantity, ticket_state = 'sold') as tickets_sold,
    uniqExact(event_id) as events,
    toLowCardinality(multiIf(orders > 1, 'returning', orders = 1, 'new', 'none')) as kind,
    max(_ver) as _ver,
    uniqExact(order_id) as orders_ever,
    toLowCardinality(if(min(tickets.currency) = max(tickets.currency), toString(min(tickets.currency)), ''))
        as currency,
    if(
        min(tickets.currency) = max(tickets.currency),
        toDecimal64(sumIf(tickets.amount, ticket_state = 'sold'), 2), null
    ) as revenue,
    if(
        min(tickets.currency) = max(tickets.currency),
        toDecimal64(sumIf(tickets.amount, ticket_state = 'refunded'), 2), null
    ) as refunded_amount,
    sumIf(quantity, ticket_state = 'refunded') as tickets_refunded,
    min(scan_ts) as first_visit_ts,
    max(scan_ts) as last_visit_ts

from {{ ref('fact_qtickets_tickets') }} as tickets
where buyer_hash != '' and {{ is_changed('buyer_hash') }}
group by buyer_hash
