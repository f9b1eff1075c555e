{{ config(order_by='date') }}

with

-- From the first sale to the year after the last show or the day of the build.
bounds as (

    select
        least(min(sold.first_date), {{ report_today() }}) as first_date,
        greatest(max(sold.last_date), {{ report_today() }}) as last_date
    from (
        select min(sales_date) as first_date, max(sales_date) as last_date
        from {{ ref('fact_qtickets_sales_daily') }}
        having count() > 0
        union all
        select {{ report_today() }} as first_date, coalesce(max(least(end_date, {{ report_today() }} + 1830)), {{ report_today() }}) as last_date
        from {{ ref('dim_shows') }}
    ) as sold

),

days as (

    select arrayJoin(
        arrayMap(
            day -> toDate(toStartOfYear(first_date) + day),
            range(toUInt32(dateDiff('day', toStartOfYear(first_date), toStartOfYear(last_date + interval 2 year))))
        )
    ) as date
    from bounds

)

select
    date,
    toUInt16(toYear(date)) as year,
    toUInt8(toQuarter(date)) as quarter,
    toUInt8(toMonth(date)) as month,
    toStartOfMonth(date) as month_start,
    toUInt16(toISOYear(date)) as iso_year,
    toUInt8(toISOWeek(date)) as iso_week,
    toDate(toMonday(date)) as week_start,
    toUInt8(toDayOfWeek(date)) as weekday,
    toUInt8(toDayOfWeek(date) >= 6) as is_weekend,
    toDate(date - 364) as date_year_ago

from days
