{#- Each order says how many tickets it has; a load that was cut between the two tables shows as
    orders whose tickets are missing, and must not reach the facts. Of orders that were built anew. -#}
{% test every_ticket_arrived(model) %}

with

tickets_by_order as (

    select order_id, count() as tickets
    from {{ model }}
    where {{ qtickets.is_changed('month, order_id') }}
    group by order_id

)

select orders.order_id, orders.baskets_count, tickets_by_order.tickets
from (
    select id as order_id, baskets_count
    from {{ source('qtickets_raw', 'orders') }} final
    where payed and {{ qtickets.is_changed('order_id', 'id') }}
) as orders
left join tickets_by_order on orders.order_id = tickets_by_order.order_id
where orders.baskets_count != coalesce(tickets_by_order.tickets, 0)

{% endtest %}
