{{ config(order_by='dataset') }}

{#- A table, so that v_qtickets_freshness needs no grants on the raw tables and is cheap to read. -#}
{%- set datasets = [
    'orders', 'tickets', 'events', 'shows', 'inventory', 'discounts', 'promo_codes',
    'price_shades', 'clients', 'barcodes', 'partner_tickets',
] -%}

{% for dataset in datasets -%}
select
    '{{ dataset }}' as dataset,
    if(count() = 0, null, max(_fetched_at)) as latest_at,
    count() as rows,
    (
        select max(inserted_at) from {{ source('qtickets_raw', '_dlt_loads') }}
        where inserted_at <= {{ report_now() }}
    ) as last_load_at
from {{ source('qtickets_raw', dataset) }} final
{{ 'union all' if not loop.last }}
{% endfor %}
