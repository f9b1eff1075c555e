{#- The days of each currency add up to its tickets: nothing is lost or doubled on the way. -#}
{% test daily_sums_match_tickets(model) %}

with

by_day as (

    select currency, sum(gross_revenue) as gross, sum(revenue) as revenue, sum(tickets_sold) as sold
    from {{ model }}
    group by currency

),

by_ticket as (

    select
        currency,
        sum(amount) as gross,
        sumIf(amount, ticket_state = 'sold') as revenue,
        sumIf(quantity, ticket_state = 'sold') as sold
    from {{ ref('int_qtickets_paid_tickets') }}
    group by currency

)

select by_day.currency as day_currency, by_ticket.currency as ticket_currency
from by_day
full outer join by_ticket on by_day.currency = by_ticket.currency
where
    by_day.gross != by_ticket.gross
    or by_day.revenue != by_ticket.revenue
    or by_day.sold != by_ticket.sold

{% endtest %}
