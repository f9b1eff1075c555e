{{ config(
    order_by='(event_id, sales_date, order_id, ticket_id)',
    materialized='incremental' if is_large() else 'table',
    incremental_strategy='insert_overwrite',
    partition_by='toYYYYMM(sales_date)' if is_large() else none,
    pre_hook="{{ drop_emptied_months() }}",
) }}

{%- set is_changed = in_changed_months(report_date('tickets.payed_at')) %}

select
    tickets.order_id as order_id,
    tickets.ticket_id as ticket_id,
    tickets.event_id as event_id,
    tickets.show_id as show_id,
    -- Of an event that the service no longer lists the city is not known; its sales are.
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city,
    tickets.currency as currency,
    {{ report_timestamp('tickets.payed_at') }} as sale_ts,
    {{ report_date('tickets.payed_at') }} as sales_date,
    tickets.ticket_state as ticket_state,
    tickets.quantity as quantity,
    tickets.amount as amount,
    tickets.discount_amount as discount_amount,
    tickets.service_fee_amount as service_fee_amount,
    tickets.refund_deduction_amount as refund_deduction_amount,
    tickets.refunded_at as refunded_at,
    tickets.checked_at as checked_at,
    {{ version_of('tickets.changed_at') }} as _ver,
    tickets.buyer_hash as buyer_hash,
    tickets.discount_id as discount_id,
    tickets.promo_code_id as promo_code_id,
    {% for name in utm_names() -%}
    tickets.{{ name }} as {{ name }}{{ ',' if not loop.last }}
    {% endfor %}

from {{ ref('stg_qtickets_api_tickets_raw') }} as tickets
left join {{ ref('stg_qtickets_api_events_raw') }} as events on tickets.event_id = events.event_id
{% if changed_since() -%}
where
    tickets.order_id in (
        select id from {{ source('qtickets_raw', 'orders') }}
        where {{ in_changed_months(report_date('coalesce(payed_at, created_at)')) }}
    )
    and {{ is_changed }}
{% endif -%}
-- A partition a month: ten years are more than ClickHouse takes at once unasked.
settings join_use_nulls = 0, max_partitions_per_insert_block = 0
