{{ config(
    order_by='(sales_date, event_id, promo_code_id, discount_id, city, currency)',
    partition_by='toYear(sales_date)',
) }}

with

discounted_sales as (

    select
        sales_date,
        event_id,
        city,
        promo_code_id,
        discount_id,
        currency,
        uniqExact(order_id) as uses,
        {{ tickets_and_revenue() }},
        toDecimal64(sumIf(tickets.discount_amount, ticket_state = 'sold'), 2) as discount_amount,
        max(_ver) as _ver
    from {{ ref('fact_qtickets_tickets') }} as tickets
    where (promo_code_id != 0 or discount_id != 0 or tickets.discount_amount > 0) and {{ is_changed('month') }}
    group by sales_date, event_id, city, promo_code_id, discount_id, currency
    {% if changed_since() -%}
    union all
    -- A partial rebuild (docs/partial_rebuilds.md) keeps the other months; names are always looked up again.
    select
        sales_date,
        event_id,
        city,
        promo_code_id,
        discount_id,
        currency,
        uses,
        tickets_sold,
        revenue,
        discount_amount,
        _ver
    from {{ this }}
    where not ({{ is_changed('month') }})
    {%- endif %}

)

select
    sales.sales_date as sales_date,
    sales.event_id as event_id,
    sales.city as city,
    sales.promo_code_id as promo_code_id,
    sales.discount_id as discount_id,
    codes.code as promo_code,
    discounts.name as discount_name,
    sales.uses as uses,
    sales.tickets_sold as tickets_sold,
    sales.revenue as revenue,
    sales.discount_amount as discount_amount,
    sales._ver as _ver,
    sales.currency as currency

from discounted_sales as sales
left join {{ ref('stg_qtickets_api_promo_codes_raw') }} as codes
    on sales.promo_code_id = codes.promo_code_id
left join {{ ref('stg_qtickets_api_discounts_raw') }} as discounts
    on sales.discount_id = discounts.discount_id
settings join_use_nulls = 0
