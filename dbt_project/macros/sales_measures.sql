{#- The measures of the sales facts, over `fact_qtickets_tickets`. The facts share them and differ
    only in `group by`, so they cannot disagree. -#}
{% macro sales_measures() -%}
    uniqExactIf(order_id, ticket_state = 'sold') as orders,
    toDecimal64(sum(amount), 2) as gross_revenue,
    toDecimal64(sumIf(discount_amount, ticket_state = 'sold'), 2) as discount_amount,
    toDecimal64(sumIf(service_fee_amount, ticket_state = 'sold'), 2) as service_fee_amount,
    toDecimal64(sumIf(amount, ticket_state = 'refunded'), 2) as refunded_amount,
    sumIf(quantity, ticket_state = 'refunded') as tickets_refunded,
    toDecimal64(sumIf(amount, ticket_state in ('cancelled', 'exchanged', 'vanished')), 2) as cancelled_amount,
    sumIf(quantity, ticket_state in ('cancelled', 'exchanged', 'vanished')) as tickets_cancelled,
    toDecimal64(sumIf(refund_deduction_amount, ticket_state = 'refunded'), 2) as refund_deduction_amount,
    max(sale_ts) as latest_sale_ts
{%- endmacro %}

{% macro tickets_and_revenue() -%}
    sumIf(quantity, ticket_state = 'sold') as tickets_sold,
    toDecimal64(sumIf(amount, ticket_state = 'sold'), 2) as revenue
{%- endmacro %}
