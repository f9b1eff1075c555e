{#- The one place where a timestamp (UTC) becomes a date or a local time. Macros call each other by
    their package, so that a project that has this one as a package can call them too. -#}

{% macro report_tz() -%}
    {{ var('report_tz', env_var('REPORT_TZ', 'Europe/Moscow')) }}
{%- endmacro %}

{% macro report_timestamp(timestamp) -%}
    toDateTime({{ timestamp }}, '{{ qtickets.report_tz() }}')
{%- endmacro %}

{% macro report_date(timestamp) -%}
    toDate(toTimeZone({{ timestamp }}, '{{ qtickets.report_tz() }}'))
{%- endmacro %}

{#- The date of a raw order's sale: of its payment, or of its creation if the vendor has none. -#}
{% macro order_sale_date() -%}
    {{ qtickets.report_date('coalesce(payed_at, created_at)') }}
{%- endmacro %}

{#- The present moment; `report_now` moves it, to see the marts as of another day. Read when a model
    runs, not when it is parsed: another moment would have every model parsed again. -#}
{% macro report_now() -%}
    {%- set moved_to = var('report_now', env_var('REPORT_NOW', '')) if execute else '' -%}
    {%- if moved_to -%} toDateTime('{{ moved_to }}', 'UTC')
    {%- else -%} now('UTC') {%- endif -%}
{%- endmacro %}

{% macro report_today() -%} {{ qtickets.report_date(qtickets.report_now()) }} {%- endmacro %}
