{{ config(order_by='(order_id, month)') }}

{#- The tables of the last build are named by their identifiers, not by ref(): this model runs before they
    are rebuilt. How it is used: docs/partial_rebuilds.md. -#}
{%- set tickets_of_last_build = this.incorporate(path={'identifier': 'int_qtickets_tickets'}) %}

-- depends_on: {{ ref('stg_qtickets_api_events_raw') }}, {{ ref('stg_qtickets_api_shows_raw') }}, {{ source('qtickets_raw', 'orders') }}
-- depends_on: {{ source('qtickets_raw', 'tickets') }}

{% if changed_since() %}

with

moved_events as (

    select built.event_id as event_id
    from (
        select distinct event_id, toString(city) as city
        from {{ this.incorporate(path={'identifier': 'fact_qtickets_sales_daily'}) }}
    ) as built
    left join {{ ref('stg_qtickets_api_events_raw') }} as events on built.event_id = events.event_id
    where built.city != if(events.city = '', 'unknown', events.city)
    union distinct
    -- To a city in another time zone, where the local hours of all sales change.
    select events.event_id as event_id
    from {{ ref('stg_qtickets_api_events_raw') }} as events
    left join {{ this.incorporate(path={'identifier': 'dim_events'}) }} as built on events.event_id = built.event_id
    where toString(built.time_zone) != events.time_zone

),

-- Nulls are compared as a date before everything. Shows that are new in this build have no tickets yet.
moved_shows as (

    select shows.show_id as show_id
    from {{ ref('stg_qtickets_api_shows_raw') }} as shows
    left join {{ this.incorporate(path={'identifier': 'dim_shows'}) }} as built on shows.show_id = built.show_id
    where
        coalesce(built.start_date, toDate(0))
        != coalesce({{ report_date('shows.starts_at') }}, toDate(0))

),

-- A ticket that an exchange moved to a new order no longer counts in the old one.
changed_exchanges as (

    select id as order_id
    from {{ source('qtickets_raw', 'orders') }}
    where _fetched_at > {{ changed_since_timestamp() }} and primary_orders is not null

),

changed_orders as (

    select id as order_id
    from {{ source('qtickets_raw', 'orders') }}
    where _fetched_at > {{ changed_since_timestamp() }}
    union distinct
    -- An event that moved to another city changes the city of all its sales.
    select order_id
    from {{ tickets_of_last_build }}
    where event_id in (select event_id from moved_events)
    union distinct
    -- A show that moved to another date changes the days before it.
    select order_id
    from {{ tickets_of_last_build }}
    where show_id in (select show_id from moved_shows)
    union distinct
    select order_id
    from {{ tickets_of_last_build }}
    where
        ticket_id in (
            select id
            from {{ source('qtickets_raw', 'tickets') }}
            where order_id in (select order_id from changed_exchanges)
        )

)

-- Months and buyers before the rebuild; an order may have moved to another month since.
select distinct order_id, toYYYYMM(sales_date) as month, buyer_hash
from {{ tickets_of_last_build }}
where order_id in (select order_id from changed_orders)

union distinct

select
    id as order_id,
    toYYYYMM({{ order_sale_date() }}) as month,
    coalesce(buyer_hash, '') as buyer_hash
from {{ source('qtickets_raw', 'orders') }} final
where id in (select order_id from changed_orders) and payed
settings join_use_nulls = 0

{% else %}

select toInt64(0) as order_id, toUInt32(0) as month, '' as buyer_hash where false

{% endif %}
