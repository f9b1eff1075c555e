select
    sales_date as d,
    event_id,
    city,
    {{ utm_names() | join(', ') }},
    -- People type sources into links by hand: "VK" and "vk " are the same source.
    toLowCardinality(if(trim(utm_source) = '', 'unknown', lowerUTF8(trim(utm_source)))) as utm_group,
    tickets_sold,
    revenue,
    currency

from {{ ref('fact_qtickets_sales_utm_daily') }}
