{#- The entries of the ledger add up to the revenue of the daily fact: tickets and money, by currency. -#}
{% test ledger_is_revenue(model) %}

with

ledger as (

    select currency, sum(tickets) as tickets, sum(amount) as amount
    from {{ model }}
    where entry_type != 'refund_retained'
    group by currency

),

sales as (

    select currency, sum(tickets_sold) as tickets, sum(revenue) as amount
    from {{ ref('fact_qtickets_sales_daily') }}
    group by currency

)

select
    sales.currency as currency,
    ledger.tickets as ledger_tickets,
    sales.tickets as tickets_sold,
    ledger.amount as ledger_amount,
    sales.amount as revenue
from sales
full join ledger on sales.currency = ledger.currency
where ledger_tickets != tickets_sold or ledger_amount != revenue

{% endtest %}
