{{ config(order_by='(order_id, month)') }}

{%- set tickets_as_built = this.incorporate(path={'identifier': 'int_qtickets_paid_tickets'}) %}

-- depends_on: {{ ref('stg_qtickets_api_events_raw') }}, {{ source('qtickets_raw', 'orders') }}, {{ source('qtickets_raw', 'tickets') }}

{% if changed_since() %}

with

changed_orders as (

    select id as order_id
    from {{ source('qtickets_raw', 'orders') }}
    where _fetched_at > {{ changed_since_moment() }}
    union distinct
    select order_id
    from {{ source('qtickets_raw', 'tickets') }}
    where _fetched_at > {{ changed_since_moment() }}

)

-- Where they are now, before anything is built: their months may be others from here on.
select distinct order_id, toYYYYMM(sales_date) as month, buyer_hash, toUInt8(0) as is_new
from {{ tickets_as_built }}
where order_id in (select order_id from changed_orders)

union distinct

select
    id as order_id,
    toYYYYMM({{ order_sale_date() }}) as month,
    coalesce(buyer_hash, '') as buyer_hash,
    toUInt8(1) as is_new
from {{ source('qtickets_raw', 'orders') }} final
where id in (select order_id from changed_orders) and payed

union distinct

-- An event that moved to another city takes its sales along.
select 0 as order_id, month, '' as buyer_hash, toUInt8(1) as is_new
from (
    select event_id, toString(city) as city, toYYYYMM(sales_date) as month
    from {{ this.incorporate(path={'identifier': 'fact_qtickets_sales_daily'}) }}
    group by event_id, city, month
) as built
left join {{ ref('stg_qtickets_api_events_raw') }} as events on built.event_id = events.event_id
where built.city != if(events.city = '', 'unknown', events.city)
settings join_use_nulls = 0

{% else %}

select toInt64(0) as order_id, toUInt32(0) as month, '' as buyer_hash, toUInt8(0) as is_new where false

{% endif %}
