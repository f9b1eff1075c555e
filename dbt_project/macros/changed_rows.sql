{#- Building only what changed, for accounts with millions of tickets. `QTICKETS_CHANGED_SINCE` is the
    moment (UTC) after which raw rows are looked at; without it every model is built whole, and so it
    is whenever dbt is run by hand. Whoever sets it vouches that all models were built together from
    all rows up to that moment.
    It is read only while a model runs: another moment must not make dbt parse the project again. -#}

{% macro changed_since() -%}
    {{ return(env_var('QTICKETS_CHANGED_SINCE', '') if execute else '') }}
{%- endmacro %}

{% macro changed_since_moment() -%} toDateTime64('{{ qtickets.changed_since() }}', 6, 'UTC') {%- endmacro %}

{#- True for rows that are built anew: those of which `key` (order_id, buyer_hash, month of sales) is
    among those of int_qtickets_changed. `expression` is where the caller has it. -#}
{% macro is_changed(key, expression=none) -%}
    {%- set changed = ref('int_qtickets_changed') -%}
    {%- set month = 'toYYYYMM(sales_date)' -%}
    {%- set expressions = {'month': month, 'month, order_id': '(' ~ month ~ ', order_id)'} -%}
    {%- if qtickets.changed_since() -%}
        {{ expression or expressions.get(key, key) }} in (select {{ key }} from {{ changed }})
    {%- else -%} true {%- endif -%}
{%- endmacro %}
