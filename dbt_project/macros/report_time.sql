{#- The only place where a timestamp (UTC) becomes a date or a local time. Macros call each other
    with the package name, so that a project that installs this one as a package can call them too. -#}

{% macro report_tz() -%}
    {{ var('report_tz', env_var('REPORT_TZ', 'Europe/Moscow')) }}
{%- endmacro %}

{% macro report_timestamp(timestamp) -%}
    toDateTime({{ timestamp }}, '{{ qtickets.report_tz() }}')
{%- endmacro %}

{% macro report_date(timestamp) -%}
    toDate(toTimeZone({{ timestamp }}, '{{ qtickets.report_tz() }}'))
{%- endmacro %}

{#- Hour (0 to 23) and weekday (1 is Monday) in a time zone that differs from row to row. Functions such as toHour
    take one time zone for all rows, unlike formatDateTime. -#}
{% macro local_hour(timestamp, time_zone) -%}
    toUInt8(formatDateTime({{ timestamp }}, '%H', {{ time_zone }}))
{%- endmacro %}

{% macro local_weekday(timestamp, time_zone) -%}
    toUInt8(formatDateTime({{ timestamp }}, '%u', {{ time_zone }}))
{%- endmacro %}

{#- The sale date of a raw order: the date of payment, or of creation if the vendor sends no time of
    payment. -#}
{% macro order_sale_date() -%}
    {{ qtickets.report_date('coalesce(payed_at, created_at)') }}
{%- endmacro %}

{#- The current time, UTC. `report_now` replaces it, to see the marts as of another day. It is read
    when a model runs: read at parse time, every new value would make dbt parse the project again. -#}
{% macro report_now() -%}
    {%- set moved_to = var('report_now', env_var('REPORT_NOW', '')) if execute else '' -%}
    {%- if moved_to -%} toDateTime('{{ moved_to }}', 'UTC')
    {%- else -%} now('UTC') {%- endif -%}
{%- endmacro %}

{% macro report_today() -%} {{ qtickets.report_date(qtickets.report_now()) }} {%- endmacro %}
