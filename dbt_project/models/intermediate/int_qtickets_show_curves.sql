{{ config(order_by='(currency, days_left, show_id)') }}

{%- set horizon = 180 %}

with

shows as (

    select
        show_id,
        event_id,
        city,
        assumeNotNull(start_date) as first_day,
        greatest(assumeNotNull(coalesce(end_date, start_date)), first_day) as last_day,
        toDate(sale_start_ts) as sale_start_date,
        toDate(sale_end_ts) as sale_end_date,
        is_over
    from {{ ref('dim_shows') }}
    where start_date is not null and not is_deleted

),

-- A ticket enters on the date of payment and leaves on the date of its refund or cancellation. Nothing that
-- happens later changes what was known on a day. Payments are read from the daily sums, which are fewer.
entries as (

    select
        show_id,
        currency,
        sales_date as entry_date,
        toInt64(tickets_sold + tickets_refunded + tickets_cancelled) as tickets,
        gross_revenue as money
    from {{ ref('fact_qtickets_sales_by_show_daily') }}
    where show_id != 0

    union all

    select
        show_id,
        currency,
        assumeNotNull({{ report_date("if(ticket_state = 'refunded', refund_ts, cancellation_ts)") }}) as entry_date,
        -toInt64(quantity) as tickets,
        -amount as money
    from {{ ref('fact_qtickets_tickets') }}
    where show_id != 0 and ticket_state != 'sold'

    union all

    -- A show on sale that has sold nothing yet.
    select
        shows.show_id as show_id,
        events.currency as currency,
        {{ report_today() }} - 1 as entry_date,
        0 as tickets,
        0 as money
    from shows
    inner join {{ ref('dim_events') }} as events on shows.event_id = events.event_id
    where
        not shows.is_over
        and coalesce(shows.sale_start_date, toDate('1970-01-01')) < {{ report_today() }}
        and coalesce(shows.sale_end_date, toDate('2100-01-01')) >= {{ report_today() }}
        and shows.show_id not in (
            select show_id from {{ ref('fact_qtickets_sales_by_show_daily') }} where sales_date < {{ report_today() }}
        )

),

days_of_shows as (

    select
        show_id,
        currency,
        entry_date,
        sum(entries.tickets) as day_tickets,
        sum(entries.money) as day_money
    from entries
    where entry_date < {{ report_today() }}
    group by show_id, currency, entry_date

),

-- Sales before the first loaded day are unknown. The first week is left out where the start of sales is unknown.
loaded as (

    select min(sales_date) as first_loaded_date
    from {{ ref('fact_qtickets_sales_by_show_daily') }}

),

curves as (

    select
        days.show_id as show_id,
        days.currency as currency,
        any(shows.event_id) as event_id,
        any(shows.city) as city,
        any(shows.first_day) as show_date,
        any(shows.last_day) as last_day,
        any(shows.is_over) as is_over,
        assumeNotNull(coalesce(any(shows.sale_start_date), min(days.entry_date))) as on_sale_date,
        any(shows.sale_start_date) is null as is_start_guessed,
        sum(days.day_tickets) as final_tickets,
        sum(days.day_money) as final_money,
        sumMap(map(toInt32(least(greatest(dateDiff('day', days.entry_date, shows.last_day), -1), {{ horizon }} + 1)), days.day_tickets)) as tickets_by_day,
        sumMap(map(toInt32(least(greatest(dateDiff('day', days.entry_date, shows.last_day), -1), {{ horizon }} + 1)), days.day_money)) as money_by_day
    from days_of_shows as days
    inner join shows on days.show_id = shows.show_id
    group by days.show_id, days.currency

),

show_days as (

    select
        * except (tickets_by_day, money_by_day),
        arrayJoin(arrayMap(
            day -> (day, tickets_by_day[toInt32(day + 1)], money_by_day[toInt32(day + 1)]),
            range(toUInt32(if(is_over, 0, least(greatest(dateDiff('day', {{ report_today() }}, last_day), 0), {{ horizon }}))), {{ horizon }} + 1)
        )) as known,
        toInt32(known.1) as days_left,
        known.2 as new_tickets,
        known.3 as new_money
    from curves

)

select
    show_id,
    event_id,
    city,
    currency,
    show_date,
    last_day,
    is_over,
    on_sale_date,
    toUInt8(on_sale_date >= assumeNotNull((select first_loaded_date from loaded)) + if(is_start_guessed, 7, 0)) as is_complete,
    days_left,
    greatest(sum(new_tickets) over so_far, 0) as tickets_so_far,
    toDecimal64(greatest(sum(new_money) over so_far, 0), 2) as revenue_so_far,
    greatest(sum(new_tickets) over last_week, 0) as tickets_last_week,
    final_tickets,
    toDecimal64(final_money, 2) as final_revenue

from show_days
window
    so_far as (partition by show_id, currency order by days_left desc rows between unbounded preceding and current row),
    last_week as (partition by show_id, currency order by days_left desc rows between 6 preceding and current row)
