{#- Staging keeps every ruble: the same tickets counted straight from raw, another way; of
    months that were built anew. -#}
{% test paid_tickets_match_raw(model) %}

{%- set sale_date = qtickets.order_sale_date() %}

with

from_model as (

    select count() as tickets, sum(amount) as amount
    from {{ model }}
    where {{ qtickets.in_changed_months('sales_date') }}

),

from_raw as (

    select count() as tickets, sum(price * quantity) as amount
    from {{ source('qtickets_raw', 'tickets') }} final
    where (order_id, _fetched_at) in (
        select id, max(_fetched_at)
        from {{ source('qtickets_raw', 'orders') }}
        {% if qtickets.changed_since() -%}
        where id in (
            select id from {{ source('qtickets_raw', 'orders') }}
            where {{ qtickets.in_changed_months(sale_date) }}
        )
        {% endif -%}
        group by id
        having
            argMax(payed, _fetched_at)
            and {{ qtickets.in_changed_months('argMax(' ~ sale_date ~ ', _fetched_at)') }}
    )

)

select * from from_model cross join from_raw
where from_model.tickets != from_raw.tickets or from_model.amount != from_raw.amount

{% endtest %}
