{{ config(
    order_by='(event_id, sales_date, order_id, ticket_id)',
    materialized='incremental' if is_large() else 'table',
    incremental_strategy='insert_overwrite',
    partition_by='toYYYYMM(sales_date)' if is_large() else none,
    pre_hook="{{ drop_emptied_months() }}",
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
    where {{ is_changed_order('order_id') }}
    {% if changed_since() %}
    union all
    -- The other orders of their months are as they were, but for the city of their event.
    select {{ model.columns.keys() | reject('equalto', 'city') | join(', ') }}
    from {{ this }}
    where
        {{ in_changed_months('sales_date') }}
        and order_id not in (select order_id from {{ ref('int_qtickets_changed') }})
    {% endif %}

)

select
    tickets.*,
    -- Of an event that the service no longer lists the city is not known; its sales are.
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city

from tickets
left join {{ ref('stg_qtickets_api_events_raw') }} as events on tickets.event_id = events.event_id
-- A partition a month: ten years are more than ClickHouse takes at once unasked.
settings join_use_nulls = 0, max_partitions_per_insert_block = 0
