{{ config(order_by='(event_id, show_id, snapshot_ts)', partition_by='toYear(snapshot_ts)') }}

with

-- A snapshot every half an hour is 17,000 a year for each show; nobody looks at last spring by
-- the half-hour. Of each period the last snapshot stays: all of them for 7 days, one an hour for
-- 60 days, one a day before that.
periods as (

    select
        show_id,
        event_id,
        snapshot_at,
        tickets_total,
        tickets_left,
        {{ report_timestamp('snapshot_at') }} as snapshot_ts,
        multiIf(
            toDate(snapshot_ts) > {{ report_today() }} - 7, snapshot_ts,
            toDate(snapshot_ts) > {{ report_today() }} - 60, toStartOfHour(snapshot_ts),
            toStartOfDay(snapshot_ts)
        ) as period
    from {{ ref('int_qtickets_show_snapshots') }}

)

select
    max(snapshot_ts) as snapshot_ts,
    toString(any(event_id)) as event_id,
    show_id,
    argMax(tuple(tickets_total), snapshot_at).1 as tickets_total,
    argMax(tuple(tickets_left), snapshot_at).1 as tickets_left,
    tickets_total - least(tickets_left, tickets_total) as tickets_taken,
    {{ version_of('max(snapshot_at)') }} as _ver

from periods
group by show_id, period
