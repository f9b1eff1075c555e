{#- No ticket is sold in two orders. After an exchange, QTickets may list a ticket in the new order and in the
    replaced one; if neither says so, both count. -#}
{% test no_ticket_is_sold_twice(model) %}
{%- set is_changed = qtickets.is_changed('month, order_id') %}

select ticket_id, groupUniqArray(order_id) as order_ids
from {{ model }}
where
    ticket_state = 'sold'
    {% if qtickets.changed_since() -%}
    and ticket_id in (
        select ticket_id from {{ model }} where {{ is_changed }}
    )
    {%- endif %}
group by ticket_id
having count() > 1

{% endtest %}
