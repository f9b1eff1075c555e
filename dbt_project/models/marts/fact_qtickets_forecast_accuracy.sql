{{ config(order_by='(horizon_days, method)') }}

{%- set c = forecast_constants() %}

with

-- Each past show, forecast as of each horizon from what was known then. A baseline without a forecast counts
-- as a forecast of 0.
backtests as (

    select
        days_left as horizon_days,
        final_tickets,
        arrayJoin([
            ('pickup', tickets_p50), ('curve', coalesce(by_curve, 0)), ('last_week', toFloat64(by_last_week))
        ]) as forecast,
        forecast.1 as method,
        forecast.2 as tickets,
        final_tickets between tickets_p10 and tickets_p90 as is_covered
    from {{ ref('int_qtickets_forecasts') }}
    where is_over and final_tickets > 0 and days_left in ({{ c.horizons | join(', ') }})

)

select
    toInt32(horizon_days) as horizon_days,
    toLowCardinality(method) as method,
    count() as shows,
    round(toFloat64(sum(toDecimal64(abs(tickets - final_tickets), 3))) / sum(final_tickets), 4) as wape,
    round(toFloat64(sum(toDecimal64(tickets - final_tickets, 3))) / sum(final_tickets), 4) as bias,
    round(medianExact(abs(tickets - final_tickets) / final_tickets), 4) as median_ape,
    if(method = 'pickup', round(countIf(is_covered) / count(), 4), null) as coverage_80

from backtests
group by horizon_days, method
