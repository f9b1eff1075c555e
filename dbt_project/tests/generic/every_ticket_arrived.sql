{#- Each order says how many tickets it has; a load that was cut between the two tables shows as
    orders whose tickets are missing, and must not reach the facts. Of orders that were built anew. -#}
{% test every_ticket_arrived(model) %}

with

-- One under the other and added up: of ten million orders that takes half the time of a join.
counted as (

    select id as order_id, baskets_count, 0 as tickets
    from {{ source('qtickets_raw', 'orders') }} final
    where payed and {{ qtickets.is_changed('order_id', 'id') }}
    union all
    select order_id, 0 as baskets_count, 1 as tickets
    from {{ model }}
    where {{ qtickets.is_changed('month, order_id') }}

)

select order_id, sum(counted.baskets_count) as baskets_count, sum(counted.tickets) as tickets
from counted
group by order_id
having baskets_count != tickets

{% endtest %}
