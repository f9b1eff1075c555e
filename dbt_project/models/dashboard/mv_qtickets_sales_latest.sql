select
    event_id,
    city,
    max(latest_sale_ts) as latest_sale_ts,
    sum(tickets_sold) as tickets_sold_14d,
    toDecimal64(sum(revenue), 2) as revenue_14d,
    currency

from {{ ref('fact_qtickets_sales_daily') }}
where sales_date between {{ report_today() }} - 13 and {{ report_today() }}
group by event_id, city, currency
