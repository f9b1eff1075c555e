{#- Each order says how many tickets it has; a load that was cut between the two tables shows as
    orders whose tickets are missing, and must not reach the facts. -#}
{% test every_ticket_arrived(model) %}

select orders.order_id, orders.baskets_count, tickets.tickets
from (
    select toString(id) as order_id, baskets_count
    from {{ source('qtickets_raw', 'orders') }} final
    where payed
) as orders
left join (
    select order_id, count() as tickets
    from {{ ref('stg_qtickets_api_tickets_raw') }}
    group by order_id
) as tickets on orders.order_id = tickets.order_id
where orders.baskets_count != coalesce(tickets.tickets, 0)

{% endtest %}
