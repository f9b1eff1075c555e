{#- Which rows a partial rebuild replaces: docs/partial_rebuilds.md.

    QTICKETS_CHANGED_SINCE is a moment in UTC. Orders fetched after it count as changed. Without it
    every model is rebuilt in full, as is always the case when dbt is run by hand. Set it only if all
    models were last built together, from every raw row fetched up to that moment.
    The variable is read only while a model runs: read at parse time, every new value would make dbt
    parse the project again. -#}

{% macro changed_since() -%}
    {{ return(env_var('QTICKETS_CHANGED_SINCE', '') if execute else '') }}
{%- endmacro %}

{% macro changed_since_timestamp() -%} toDateTime64('{{ qtickets.changed_since() }}', 6, 'UTC') {%- endmacro %}

{#- A condition that is true for rows to be rebuilt: those whose `key` is in int_qtickets_changed.
    Keys: 'order_id', 'buyer_hash', 'month' (of the sale) and 'month, order_id'. `expression` is the
    key in the caller's columns, if they have other names. In a full rebuild it is always true. -#}
{% macro is_changed(key, expression=none) -%}
    {%- set changed = ref('int_qtickets_changed') -%}
    {%- set month = 'toYYYYMM(sales_date)' -%}
    {%- set expressions = {'month': month, 'month, order_id': '(' ~ month ~ ', order_id)'} -%}
    {%- if qtickets.changed_since() -%}
        {{ expression or expressions.get(key, key) }} in (select {{ key }} from {{ changed }})
    {%- else -%} true {%- endif -%}
{%- endmacro %}
