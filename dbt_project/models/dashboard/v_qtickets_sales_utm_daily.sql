select
    sales_date as d,
    event_id,
    city,
    {{ utm_names() | join(', ') }},
    -- Sources are typed by hand into links: "VK" and "vk " are one.
    toLowCardinality(if(trim(utm_source) = '', 'unknown', lowerUTF8(trim(utm_source)))) as utm_group,
    tickets_sold,
    revenue,
    currency

from {{ ref('fact_qtickets_sales_utm_daily') }}
