{#- The vendor's own identity: an order's price is the sum of all its tickets, cancelled ones
    included. A difference is theirs or our misreading of a field, so it warns. Orders of the last
    three days of loading are looked at: older ones were when they arrived. -#}
{% test order_price_is_the_sum_of_its_tickets(model) %}

with

recent_orders as (

    select id as order_id, price
    from {{ source('qtickets_raw', 'orders') }} final
    where
        payed
        and price is not null
        and {{ qtickets.is_changed('order_id', 'id') }}
        and _fetched_at >= (
            select max(_fetched_at) - interval 3 day from {{ source('qtickets_raw', 'orders') }}
        )

),

tickets_by_order as (

    select order_id, sum(amount) as amount
    from {{ model }}
    -- These are among the changed ones; their months spare reading all others.
    where {{ qtickets.is_changed('month, order_id') }} and order_id in (select order_id from recent_orders)
    group by order_id

)

select recent_orders.order_id, recent_orders.price, tickets_by_order.amount
from recent_orders
inner join tickets_by_order on recent_orders.order_id = tickets_by_order.order_id
where recent_orders.price != tickets_by_order.amount

{% endtest %}
