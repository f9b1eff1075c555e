-- Months of sales are built anew, refunds are looked for, and changed orders: that is the order of the
-- rows. What comes after the month nearly arrives in it, so there is little to sort.
{{ config(
    materialized='patched',
    patched_by='month, order_id',
    order_by='(toYYYYMM(sales_date), ticket_state, order_id, ticket_id)',
    settings=large_parts_unmerged(),
) }}

with

tickets as (

    select
        order_id,
        ticket_id,
        event_id,
        show_id,
        currency,
        {{ report_timestamp('payed_at') }} as sale_ts,
        {{ report_date('payed_at') }} as sales_date,
        ticket_state,
        quantity,
        amount,
        discount_amount,
        service_fee_amount,
        refund_deduction_amount,
        refunded_at,
        checked_at,
        {{ version_of('changed_at') }} as _ver,
        buyer_hash,
        discount_id,
        promo_code_id,
        {{ utm_names() | join(', ') }}
    from {{ ref('stg_qtickets_api_tickets_raw') }}
    where {{ is_changed('order_id') }}

)

select
    tickets.*,
    -- Of an event that the service no longer lists the city is not known; its sales are.
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city

from tickets
left join {{ ref('stg_qtickets_api_events_raw') }} as events on tickets.event_id = events.event_id
settings join_use_nulls = 0
