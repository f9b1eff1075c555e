{{ config(order_by='(event_id, show_id, snapshot_ts)', partition_by='toYear(snapshot_ts)') }}

with

-- A snapshot every 30 minutes makes 17,000 rows per show and year, and nobody needs last spring in such
-- detail. The last snapshot of each period is kept: every snapshot for 7 days, one per hour for 60 days,
-- one per day before that.
snapshot_periods as (

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

from snapshot_periods
group by show_id, period
