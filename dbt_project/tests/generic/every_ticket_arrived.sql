{#- Every rebuilt order has as many tickets as it says. A load that stopped between the tables `orders`
    and `tickets` leaves orders without their tickets, which must not reach the facts. -#}
{% test every_ticket_arrived(model) %}

with

-- A union that is summed takes half the time of a join at ten million orders.
ticket_counts as (

    select id as order_id, baskets_count, 0 as tickets
    from {{ source('qtickets_raw', 'orders') }} final
    where payed and {{ qtickets.is_changed('order_id', 'id') }}
    union all
    select order_id, 0 as baskets_count, 1 as tickets
    from {{ model }}
    where {{ qtickets.is_changed('month, order_id') }}

)

select order_id, sum(ticket_counts.baskets_count) as baskets_count, sum(ticket_counts.tickets) as tickets
from ticket_counts
group by order_id
having baskets_count != tickets

{% endtest %}
