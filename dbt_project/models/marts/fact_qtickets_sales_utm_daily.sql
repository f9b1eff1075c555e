{{ config(
    order_by="(sales_date, event_id, city, currency, " ~ utm_names() | join(', ') ~ ")",
    partition_by='toYear(sales_date)',
) }}

{%- set is_changed = in_changed_months('sales_date') %}

{% call with_unchanged(is_changed) %}

select
    sales_date,
    event_id,
    city,
    {{ utm_names() | join(', ') }},
    {{ tickets_and_revenue() }},
    max(_ver) as _ver,
    currency,
    {{ sales_measures() }}

from {{ ref('int_qtickets_paid_tickets') }}
where {{ is_changed }}
group by sales_date, event_id, city, currency, {{ utm_names() | join(', ') }}

{% endcall %}
