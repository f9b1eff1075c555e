{{ config(
    materialized='partial_rebuild',
    rebuild_key='month',
    order_by="(sales_date, event_id, city, currency, " ~ utm_names() | join(', ') ~ ")",
    partition_by='toYear(sales_date)',
) }}

select
    sales_date,
    event_id,
    city,
    {{ utm_names() | join(', ') }},
    {{ tickets_and_revenue() }},
    max(_ver) as _ver,
    currency,
    {{ sales_measures() }}

from {{ ref('fact_qtickets_tickets') }}
where {{ is_changed('month') }}
group by sales_date, event_id, city, currency, {{ utm_names() | join(', ') }}
