-- Rows are ordered for their readers: facts are rebuilt by month of sale, refunds are found by state, changed
-- orders by ID. Within a month, rows arrive nearly in this order, so there is little to sort.
{{ config(
    materialized='partial_rebuild',
    rebuild_key='month, order_id',
    order_by='(toYYYYMM(sales_date), ticket_state, order_id, ticket_id)',
    settings=merge_only_small_parts(),
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
        paid_back_amount,
        refunded_at,
        cancelled_at,
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
    -- The city of an event that the service no longer lists is unknown, but its sales are kept.
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city

from tickets
left join {{ ref('stg_qtickets_api_events_raw') }} as events on tickets.event_id = events.event_id
settings join_use_nulls = 0
