-- From when on data is late, for a schedule of 30 minutes: two missed runs, then a working day's
-- half. What did not change is not loaded again, so each load counts for all, also an empty one.
{%- set late_hours = env_var('QTICKETS_LATE_HOURS', '1.25') | float %}
{%- set stale_hours = env_var('QTICKETS_STALE_HOURS', '6') | float %}

with

last_runs as (

    select greatest(max(latest_at), max(last_load_at)) as latest_at from {{ ref('int_qtickets_loaded') }}

)

select
    loaded.dataset as dataset,
    {{ report_timestamp('loaded.latest_at') }} as latest_ts,
    loaded.rows as rows,
    round(dateDiff('second', loaded.latest_at, {{ report_now() }}) / 3600, 2) as age_hours,
    multiIf(
        loaded.latest_at is null, 'empty',
        dateDiff('second', last_runs.latest_at, {{ report_now() }}) > {{ stale_hours }} * 3600, 'stale',
        dateDiff('second', last_runs.latest_at, {{ report_now() }}) > {{ late_hours }} * 3600, 'late',
        'fresh'
    ) as status

from {{ ref('int_qtickets_loaded') }} as loaded
cross join last_runs
