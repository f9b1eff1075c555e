-- Hours after which data is late or stale, for a schedule of 30 minutes: two missed runs, then half a
-- working day. Unchanged rows are not loaded again, so each load, even an empty one, refreshes all datasets.
{%- set late_hours = env_var('QTICKETS_LATE_HOURS', '1.25') | float %}
{%- set stale_hours = env_var('QTICKETS_STALE_HOURS', '6') | float %}

with

newest_load as (

    select greatest(max(latest_at), max(last_load_at)) as latest_at from {{ ref('int_qtickets_loaded') }}

)

select
    loaded.dataset as dataset,
    {{ report_timestamp('loaded.latest_at') }} as latest_ts,
    loaded.rows as rows,
    round(dateDiff('second', loaded.latest_at, {{ report_now() }}) / 3600, 2) as age_hours,
    multiIf(
        loaded.latest_at is null, 'empty',
        dateDiff('second', newest_load.latest_at, {{ report_now() }}) > {{ stale_hours }} * 3600, 'stale',
        dateDiff('second', newest_load.latest_at, {{ report_now() }}) > {{ late_hours }} * 3600, 'late',
        'fresh'
    ) as status

from {{ ref('int_qtickets_loaded') }} as loaded
cross join newest_load
