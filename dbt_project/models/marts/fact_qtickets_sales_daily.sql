-- Ordered for dashboards, which ask for a range of days, then for events.
{{ config(
    materialized='partial_rebuild',
    rebuild_key='month',
    order_by='(sales_date, event_id, city, currency)',
    partition_by='toYear(sales_date)',
) }}

select
    sales_date,
    event_id,
    city,
    {{ tickets_and_revenue() }},
    max(_ver) as _ver,
    currency,
    {{ sales_measures() }}

from {{ ref('fact_qtickets_tickets') }}
where {{ is_changed('month') }}
group by sales_date, event_id, city, currency
