{{ config(order_by='(show_id, sale_ts)') }}

{%- set c = silence_constants() %}

with

-- Sales stop by themselves when the sale ends, the show begins or the last seats are gone.
shows as (

    select
        shows.show_id as show_id,
        least(
            coalesce(sale_end_ts, toDateTime('2100-01-01 00:00:00', 'UTC')),
            coalesce(
                if(dateDiff('hour', start_ts, end_ts) > 24, end_ts, start_ts), toDateTime('2100-01-01 00:00:00', 'UTC')
            )
        ) as planned_end_ts,
        toUInt8(shows.is_deleted or coalesce(seats.sell_through, 0) >= {{ c.sold_out_from }}) as is_closed
    from {{ ref('dim_shows') }} as shows
    left join (
        select show_id, max(inventory.sell_through) as sell_through
        from {{ ref('fact_qtickets_inventory_by_show') }} as inventory
        group by show_id
    ) as seats on shows.show_id = seats.show_id
    settings join_use_nulls = 1

),

-- Orders within ten minutes count as one sale: a school class or an order that was split must not look like a
-- rush. Box offices sell while a widget is broken, and invitations come in bulk.
show_sales as (

    select
        show_id,
        min(tickets.sale_ts) as sale_ts
    from {{ ref('fact_qtickets_tickets') }} as tickets
    where
        show_id != 0 and not is_box_office and not is_free
        -- The table is sorted by month.
        and tickets.sales_date >= {{ report_today() }} - {{ c.weeks * 7 + 1 }}
        and tickets.sale_ts <= {{ report_now() }}
        and tickets.sale_ts >= {{ report_now() }} - interval {{ c.weeks }} week
    group by show_id, intDiv(toUnixTimestamp(tickets.sale_ts), {{ c.slot_seconds }})

),

ended_sales as (

    select
        sales.show_id as show_id,
        sales.sale_ts as sale_ts,
        if(shows.is_closed, max(sales.sale_ts) over (partition by sales.show_id), shows.planned_end_ts) as sale_end_ts
    from show_sales as sales
    inner join shows on sales.show_id = shows.show_id

),

-- How much of a week's sales each hour has. Whole weeks only, so that every weekday counts the same.
whole_weeks as (

    select
        least({{ c.weeks }}, intDiv(dateDiff('day', min(sale_ts), {{ report_now() }}), 7)) as weeks,
        {{ report_now() }} - toIntervalWeek(weeks) as first_ts
    from show_sales

),

hours_of_sales as (

    select intDiv({{ local_seconds('sale_ts') }} % 604800, 3600) as hour, count() as slots
    from show_sales
    where sale_ts > (select (first_ts, weeks) from whole_weeks).1
    group by hour

),

-- The share of each weekday and of each hour of the day in the sales. In steps: within one `select`, ClickHouse
-- replaces an alias by its expression at each use, so aliases of aliases multiply what it has to analyse.
days_and_hours as (

    select
        sumMap(map(toInt64(hour), toFloat64(slots))) as by_hour,
        sum(slots) as total,
        arrayMap(d -> (arraySum(arrayMap(h -> by_hour[toInt64(d * 24 + h)], range(24))) + 1) / (total + 7), range(7)) as by_weekday,
        arrayMap(h -> (arraySum(arrayMap(d -> by_hour[toInt64(d * 24 + h)], range(7))) + 1) / (total + 24), range(24)) as by_day_hour
    from hours_of_sales

),

expected_hours as (

    select
        *,
        arrayMap(h -> total * by_weekday[intDiv(h, 24) + 1] * by_day_hour[h % 24 + 1], range(168)) as expected
    from days_and_hours

),

-- An hour of the week is drawn to the product of the shares of its weekday and of its hour of the day.
drawn_hours as (

    select
        arrayMap(
            h -> greatest(expected[h + 1] * (by_hour[toInt64(h)] + {{ c.cell_trust }}) / (expected[h + 1] + {{ c.cell_trust }}), {{ c.least_share }} * total / 168),
            range(168)
        ) as drawn
    from expected_hours

),

usual_hours as (

    select arrayMap(share -> share * 168 / arraySum(drawn), drawn) as week_hours
    from drawn_hours

),

usual_week as (

    select week_hours, arrayMap((until, share) -> until - share, arrayCumSum(week_hours), week_hours) as week_hours_before
    from usual_hours

),

-- The account is show 0.
scoped_sales as (

    select show_id, sale_ts, sale_end_ts from ended_sales

    union all

    select 0 as show_id, min(ended_sales.sale_ts) as sale_ts, max(ended_sales.sale_end_ts) as sale_end_ts
    from ended_sales
    group by intDiv(toUnixTimestamp(ended_sales.sale_ts), {{ c.slot_seconds }})

),

timed_sales as (

    select
        show_id,
        sale_ts,
        sale_end_ts,
        -- One subquery with both, which ClickHouse evaluates once.
        (select (week_hours, week_hours_before) from usual_week) as week,
        week.1 as hours,
        week.2 as hours_before,
        {{ usual_hours('sale_ts') }} as at,
        {{ usual_hours('sale_end_ts') }} as ends_at
    from scoped_sales
    where (select (first_ts, weeks) from whole_weeks).2 >= {{ c.least_weeks }}

),

-- The rate of the last sales: that of many where they were slower, because a rush ends.
known_sales as (

    select
        show_id,
        sale_ts,
        max(sale_end_ts) over long as last_end_ts,
        at,
        leadInFrame(toNullable(sale_ts)) over all_sales as next_sale_ts,
        leadInFrame(at, 1, 1e12) over all_sales as next_at,
        row_number() over all_sales as number,
        first_value(at) over short as short_from,
        first_value(at) over long as long_from,
        arraySort(arrayMap(end -> greatest(end - at, 0), if(show_id = 0, groupArray(ends_at) over long, [ends_at]))) as ends
    from timed_sales
    window
        all_sales as (partition by show_id order by sale_ts rows between unbounded preceding and unbounded following),
        short as (partition by show_id order by sale_ts rows between {{ c.short }} preceding and current row),
        long as (partition by show_id order by sale_ts rows between {{ c.long }} preceding and current row)

),

rates as (

    select
        *,
        toFloat64(least(number - 1, {{ c.short }})) as known,
        least(known / (at - short_from), least(number - 1, {{ c.long }}) / (at - long_from)) as rate,
        -- Hours of usual demand in which a sale could be made: those of shows whose sale ends do not count on.
        rate * arrayAvg(end -> least(end, next_at - at), ends) as missed,
        -- Exponentially distributed with mean 1 if sales come independently at this rate, known from so many sales.
        known * log(1 + missed / known) as surprise
    from known_sales
    where number > {{ c.least_sales }}

),

-- Sales come in bursts. How much longer the longest gaps are than those of independent sales is known from
-- gaps that had closed a week before.
bursts as (

    select
        show_id = 0 as is_account,
        arrayJoin(range(toUInt32(intDiv(dateDiff('second', assumeNotNull(next_sale_ts), {{ report_now() }}), 604800)))) as weeks_ago,
        count() as gaps,
        greatest(
            quantileExact(0.99)(surprise) / log(100), if(gaps < 3000, 0, quantileExact(0.999)(surprise) / log(1000))
        ) as stretch
    from rates
    where next_sale_ts is not null
    group by is_account, weeks_ago

),

limits as (

    select
        rates.*,
        greatest(
            (bursts.stretch * bursts.gaps + {{ c.usual_stretch * c.usual_gaps }}) / (bursts.gaps + {{ c.usual_gaps }}), 1
        ) as stretch,
        least(if(rates.show_id = 0, {{ c.account_alarms_a_week }}, {{ c.alarms_a_week }}) / (rates.rate * 168), {{ c.largest_chance }}) as alarm_chance,
        known * (exp(least(-log(alarm_chance) * stretch / known, 20)) - 1) as alarm_missed,
        length(ends) as parts,
        -- Where the missed sales reach the limit, after the sale of `part - 1` shows has ended.
        arrayMap(
            (end, until, part) -> (alarm_missed / rate * parts - until + end) / (parts - part + 1),
            ends, arrayCumSum(ends), arrayEnumerate(ends)
        ) as reached,
        arrayFirstIndex((after, end) -> after <= end, reached, ends) as reached_in
    from rates
    left join bursts on
        (rates.show_id = 0) = bursts.is_account
        and intDiv(dateDiff('second', rates.sale_ts, {{ report_now() }}), 604800) = bursts.weeks_ago
    settings join_use_nulls = 0

),

alarms as (

    select
        *,
        (select (week_hours, week_hours_before) from usual_week) as week,
        week.1 as hours,
        week.2 as hours_before,
        at + reached[reached_in] as alarm_at,
        toInt64(floor(alarm_at / 168)) as alarm_week,
        toUInt32(arrayLastIndex(before -> before <= alarm_at - alarm_week * 168, hours_before)) as alarm_hour,
        alarm_week * 604800 + (alarm_hour - 1) * 3600
            + (alarm_at - alarm_week * 168 - hours_before[alarm_hour]) / hours[alarm_hour] * 3600 as alarm_seconds
    from limits

)

select
    show_id,
    sale_ts,
    next_sale_ts,
    {{ report_timestamp('last_end_ts') }} as sale_end_ts,
    round(rate * 24, 4) as sales_a_day,
    if(next_sale_ts is null, null, round(missed, 4)) as sales_missed,
    round(stretch, 4) as stretch,
    round(alarm_chance, 8) as alarm_chance,
    round(alarm_missed, 4) as alarm_missed,
    if(reached_in = 0, null, sale_ts + toIntervalSecond(toInt64(alarm_seconds - {{ local_seconds('sale_ts') }}))) as alarm_ts

from alarms
