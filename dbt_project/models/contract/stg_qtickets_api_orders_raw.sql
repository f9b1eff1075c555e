with

paid_orders as (

    select
        *,
        {{ utm_of('utm') }} as utm_values,
        -- All stored fields of the order. Personal data is never stored in the raw tables.
        formatRowNoNewline('JSONEachRow', * except (_fetched_at)) as payload_json
    from {{ source('qtickets_raw', 'orders') }} final
    where payed

),

order_totals as (

    select
        order_id,
        sumIf(quantity, ticket_state = 'sold') as tickets_sold,
        sumIf(amount, ticket_state = 'sold') as revenue,
        max(changed_at) as changed_at
    from {{ ref('stg_qtickets_api_tickets_raw') }}
    group by order_id

),

events as (

    select * from {{ ref('stg_qtickets_api_events_raw') }}

)

select
    toString(paid_orders.id) as order_id,
    toString(paid_orders.event_id) as event_id,
    if(events.city = '', 'unknown', events.city) as city,
    {% for name in utm_names() -%}
    toLowCardinality(paid_orders.utm_values.{{ name }}) as {{ name }},
    {% endfor -%}
    {{ report_timestamp('coalesce(paid_orders.payed_at, paid_orders.created_at)') }} as sale_ts,
    toUInt64(order_totals.tickets_sold) as tickets_sold,
    toDecimal64(order_totals.revenue, 2) as revenue,
    paid_orders.currency_id as currency,
    paid_orders.payload_json as payload_json,
    {{ version_of('greatest(coalesce(paid_orders.updated_at, paid_orders.created_at), order_totals.changed_at)') }} as _ver,
    toString(paid_orders.id) as _dedup_key

from paid_orders
left join order_totals on paid_orders.id = order_totals.order_id
left join events on toString(paid_orders.event_id) = events.event_id
settings join_use_nulls = 0
