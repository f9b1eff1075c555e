{{ config(order_by='(refund_date, event_id, city, currency)', partition_by='toYear(refund_date)') }}

select
    assumeNotNull({{ report_date('refund_ts') }}) as refund_date,
    event_id,
    city,
    currency,
    sum(quantity) as tickets_refunded,
    uniqExact(order_id) as orders,
    toDecimal64(sum(tickets.amount), 2) as refunded_amount,
    toDecimal64(sum(tickets.refund_deduction_amount), 2) as refund_deduction_amount,
    toDecimal64(sum(tickets.paid_back_amount), 2) as paid_back_amount,
    min(sales_date) as first_sales_date,
    max(sales_date) as last_sales_date,
    max(_ver) as _ver

from {{ ref('fact_qtickets_tickets') }} as tickets
where ticket_state = 'refunded'
group by refund_date, event_id, city, currency
