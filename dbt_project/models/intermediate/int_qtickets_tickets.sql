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

    select *
    from {{ ref('stg_qtickets_api_tickets_raw') }}
    where {{ is_changed('order_id') }}

)

select
    tickets.order_id as order_id,
    tickets.ticket_id as ticket_id,
    tickets.event_id as event_id,
    tickets.show_id as show_id,
    -- The city of an event that the service no longer lists is unknown, but its sales are kept.
    toLowCardinality(if(events.city = '', 'unknown', events.city)) as city,
    tickets.currency as currency,
    tickets.buyer_hash as buyer_hash,
    tickets.ticket_state as ticket_state,
    tickets.quantity as quantity,
    tickets.entrances as entrances,
    tickets.amount as amount,
    tickets.discount_amount as discount_amount,
    tickets.service_fee_amount as service_fee_amount,
    tickets.refund_deduction_amount as refund_deduction_amount,
    tickets.paid_back_amount as paid_back_amount,
    {{ report_date('tickets.payed_at') }} as sales_date,
    {{ report_timestamp('tickets.payed_at') }} as sale_ts,
    {{ report_timestamp('tickets.refunded_at') }} as refund_ts,
    {{ report_timestamp('tickets.cancelled_at') }} as cancellation_ts,
    {{ report_timestamp('tickets.checked_at') }} as scan_ts,
    shows.show_date as show_date,
    toInt16(dateDiff('day', sales_date, shows.show_date)) as days_before_show,
    tickets.payment_type as payment_type,
    tickets.site_id as site_id,
    tickets.is_box_office as is_box_office,
    tickets.tariff as tariff,
    tickets.zone as zone,
    tickets.is_free as is_free,
    tickets.is_season_ticket as is_season_ticket,
    tickets.main_ticket_id as main_ticket_id,
    tickets.promo_code_id as promo_code_id,
    tickets.discount_id as discount_id,
    {% for name in utm_names() -%}
    tickets.{{ name }} as {{ name }},
    {% endfor -%}
    {{ version_of('tickets.changed_at') }} as _ver,
    toLowCardinality(if(events.time_zone = '', '{{ report_tz() }}', events.time_zone)) as time_zone,
    {{ local_hour('tickets.payed_at', 'time_zone') }} as sale_local_hour,
    {{ local_weekday('tickets.payed_at', 'time_zone') }} as sale_local_weekday,
    {{ local_hour('tickets.checked_at', 'time_zone') }} as scan_local_hour,
    {{ local_weekday('tickets.checked_at', 'time_zone') }} as scan_local_weekday

from tickets
left join {{ ref('stg_qtickets_api_events_raw') }} as events on tickets.event_id = events.event_id
left join (
    select show_id, {{ report_date('starts_at') }} as show_date
    from {{ ref('stg_qtickets_api_shows_raw') }}
) as shows on tickets.show_id = shows.show_id
settings join_use_nulls = 0
