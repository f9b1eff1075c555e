{#- The vendor's own identity: an order's price is the sum of all its tickets, cancelled ones
    included. A difference is theirs or our misreading of a field, so it warns. Orders of the last
    three days of loading are looked at: older ones were when they arrived. -#}
{% test order_price_is_the_sum_of_its_tickets(model) %}

with

-- One under the other and added up: of ten million orders that takes half the time of a join.
amounts as (

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

select order_id, max(amounts.price) as price, sum(amounts.amount) as amount
from amounts
group by order_id
-- Not true of null: an order that is older, or has no price.
having price != amount

{% endtest %}
