{#- The vendor defines an order's price as the sum of all its tickets, cancelled ones included. A
    difference is an error of the vendor or our misreading of a field. Only orders fetched in the last
    three days of loading are checked: older ones were checked when they arrived. -#}
{% test order_price_is_the_sum_of_its_tickets(model) %}

with

-- A union that is summed takes half the time of a join at ten million orders.
order_amounts as (

    select id as order_id, price, 0 as amount
    from {{ source('qtickets_raw', 'orders') }} final
    where
        payed
        and {{ qtickets.is_changed('order_id', 'id') }}
        and _fetched_at >= (
            select max(_fetched_at) - interval 3 day from {{ source('qtickets_raw', 'orders') }}
        )
    union all
    select order_id, null as price, amount
    from {{ model }}
    where {{ qtickets.is_changed('month, order_id') }}

)

select order_id, max(order_amounts.price) as price, sum(order_amounts.amount) as amount
from order_amounts
group by order_id
-- Not true if the price is null: an older order, or one without a price.
having price != amount

{% endtest %}
