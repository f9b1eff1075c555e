{#- The constants of the silence alarm, chosen by `python -m benchmarks.forecast.silence` on its tuning seed. -#}
{% macro silence_constants() -%}
    {{ return({
        'weeks': 12,
        'least_weeks': 2,
        'slot_seconds': 600,
        'short': 20,
        'long': 60,
        'least_sales': 10,
        'alarms_a_week': 0.001,
        'account_alarms_a_week': 0.03,
        'largest_chance': 0.0005,
        'usual_stretch': 1.4,
        'usual_gaps': 300,
        'cell_trust': 20,
        'least_share': 0.02,
        'sold_out_from': 0.98,
    }) }}
{%- endmacro %}

{#- Hours of usual demand from a Monday long ago to a timestamp: an hour in which twice as much is sold as in
    a mean hour counts twice. `hours` and `hours_before` have an element for each hour of the week. -#}
{% macro usual_hours(timestamp) -%}
    (intDiv({{ qtickets.local_seconds(timestamp) }}, 604800) * 168
    + hours_before[intDiv({{ qtickets.local_seconds(timestamp) }} % 604800, 3600) + 1]
    + hours[intDiv({{ qtickets.local_seconds(timestamp) }} % 604800, 3600) + 1]
        * ({{ qtickets.local_seconds(timestamp) }} % 3600) / 3600)
{%- endmacro %}

{#- Seconds from Monday 5 January 1970 to a timestamp, by the clock of its time zone. -#}
{% macro local_seconds(timestamp) -%}
    (toInt64(toUnixTimestamp({{ timestamp }})) + timeZoneOffset({{ timestamp }}) - 345600)
{%- endmacro %}
