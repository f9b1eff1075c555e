{#- Sales add up to the same totals at four grains, per currency: by ticket, by day, by day and UTM, by
    show. So no row is lost or duplicated between them. Gross revenue less refunds and cancellations
    equals revenue. -#}
{% test sales_facts_agree(model) %}

with

totals as (

    select
        'ticket' as grain,
        currency,
        sum(amount) as gross,
        sumIf(amount, ticket_state = 'sold') as net,
        sumIf(amount, ticket_state != 'sold') as lost,
        sumIf(quantity, ticket_state = 'sold') as sold
    from {{ ref('fact_qtickets_tickets') }}
    group by currency
    {% for fact in [model, ref('fact_qtickets_sales_utm_daily')] %}
    union all
    select
        '{{ fact.identifier }}' as grain,
        currency,
        sum(gross_revenue) as gross,
        sum(revenue) as net,
        sum(refunded_amount) + sum(cancelled_amount) as lost,
        sum(tickets_sold) as sold
    from {{ fact }}
    group by currency
    {% endfor %}
    union all
    select
        'fact_qtickets_inventory_by_show' as grain,
        currency,
        sum(gross_revenue) as gross,
        sum(revenue) as net,
        gross - net as lost,
        sum(tickets_sold) as sold
    from {{ ref('fact_qtickets_inventory_by_show') }}
    where gross_revenue != 0 or tickets_sold != 0
    group by currency

)

select
    currency,
    groupArray(tuple(grain, gross, net, lost, sold)) as grains
from totals
-- A currency without sales has no totals to compare.
where gross != 0 or sold != 0
group by currency
having
    count() != 4
    or uniqExact(gross, net, lost, sold) != 1
    or any(gross - lost != net)

{% endtest %}
