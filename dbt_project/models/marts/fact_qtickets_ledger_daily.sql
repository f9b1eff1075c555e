{{ config(order_by='(entry_date, entry_type, event_id, city, currency)', partition_by='toYear(entry_date)') }}

with

sales as (

    select
        sales_date as entry_date,
        'sale' as entry_type,
        event_id,
        city,
        currency,
        toInt64(tickets_sold + tickets_refunded + tickets_cancelled) as tickets,
        gross_revenue as amount,
        _ver
    from {{ ref('fact_qtickets_sales_daily') }}

),

-- Tickets that no longer count, on the date when that happened.
ended_tickets as (

    select
        event_id,
        city,
        currency,
        ticket_state,
        assumeNotNull({{ report_date("if(ticket_state = 'refunded', refund_ts, cancellation_ts)") }}) as entry_date,
        quantity,
        amount,
        paid_back_amount,
        _ver
    from {{ ref('fact_qtickets_tickets') }}
    where ticket_state != 'sold'

),

endings as (

    select
        entry_date,
        transform(
            toString(ticket_state), ['refunded', 'cancelled', 'exchanged'], ['refund', 'cancellation', 'exchange'],
            toString(ticket_state)
        ) as entry_type,
        event_id,
        city,
        currency,
        -sum(toInt64(quantity)) as tickets,
        -sum(ended_tickets.amount) as amount,
        max(_ver) as _ver
    from ended_tickets
    group by entry_date, entry_type, event_id, city, currency

),

-- Only refunds of which the organiser kept a part.
retained as (

    select
        entry_date,
        'refund_retained' as entry_type,
        event_id,
        city,
        currency,
        toInt64(0) as tickets,
        sum(ended_tickets.amount - ended_tickets.paid_back_amount) as amount,
        max(_ver) as _ver
    from ended_tickets
    where ticket_state = 'refunded' and ended_tickets.amount != ended_tickets.paid_back_amount
    group by entry_date, event_id, city, currency

)

select
    entry_date,
    toLowCardinality(entry_type) as entry_type,
    event_id,
    toLowCardinality(city) as city,
    toLowCardinality(currency) as currency,
    tickets,
    toDecimal64(entries.amount, 2) as amount,
    _ver

from (
    select entry_date, entry_type, event_id, city, currency, tickets, amount, _ver from sales
    union all
    select entry_date, entry_type, event_id, city, currency, tickets, amount, _ver from endings
    union all
    select entry_date, entry_type, event_id, city, currency, tickets, amount, _ver from retained
) as entries
