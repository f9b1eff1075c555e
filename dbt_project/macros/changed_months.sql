{#- Building only the months of sales in which something changed, for accounts with millions of
    tickets. `QTICKETS_CHANGED_SINCE` is the moment (UTC) after which raw rows are looked at; without
    it every model is built whole, and so it is whenever dbt is run by hand. Whoever sets it vouches
    that all models were built together from all rows up to that moment.
    It is read only while a model runs: another moment must not make dbt parse the project again. -#}

{% macro changed_since() -%}
    {{ return(env_var('QTICKETS_CHANGED_SINCE', '') if execute else '') }}
{%- endmacro %}

{% macro changed_since_moment() -%} toDateTime64('{{ qtickets.changed_since() }}', 6, 'UTC') {%- endmacro %}

{#- Whether tables are made so that single months can be replaced in them. -#}
{% macro is_large() -%} {{ return(env_var('QTICKETS_LARGE', '') == 'true') }} {%- endmacro %}

{#- True for sales dates of months that are built anew. -#}
{% macro in_changed_months(date) -%}
    {%- set changed = ref('int_qtickets_changed') -%}
    {%- if qtickets.changed_since() -%}
        toYYYYMM({{ date }}) in (select month from {{ changed }})
    {%- else -%} true {%- endif -%}
{%- endmacro %}

{#- True for orders that changed, of those that are paid now. -#}
{% macro is_changed_order(order_id) -%}
    {%- set changed = ref('int_qtickets_changed') -%}
    {%- if qtickets.changed_since() -%}
        {{ order_id }} in (select order_id from {{ changed }} where is_new)
    {%- else -%} true {%- endif -%}
{%- endmacro %}

{#- True for buyers whose orders changed. -#}
{% macro is_changed_buyer(buyer_hash) -%}
    {%- set changed = ref('int_qtickets_changed') -%}
    {%- if qtickets.changed_since() -%}
        {{ buyer_hash }} in (select buyer_hash from {{ changed }})
    {%- else -%} true {%- endif -%}
{%- endmacro %}

{#- The caller's rows, for which `condition` is true, and all others as they were; of the model's
    columns, or some. The table is swapped whole, as ever: a month that has lost its last row is gone
    as well. -#}
{% macro with_unchanged(condition, columns=none) -%}
    {%- set rows = caller() -%}
    {%- if not qtickets.changed_since() -%} {{ rows }}
    {%- else -%}
        {%- set columns = (columns or model.columns.keys()) | join(', ') %}
select {{ columns }} from ({{ rows }})
union all
select {{ columns }} from {{ this }} where not ({{ condition }})
    {%- endif -%}
{%- endmacro %}

{#- Drops the months of the caller's table that have lost their last order: `insert_overwrite` replaces
    those that have rows. -#}
{% macro drop_emptied_months() -%}
    {%- if qtickets.changed_since() -%}
        {%- set changed = ref('int_qtickets_changed') -%}
        {%- set emptied = run_query(
            "select toYYYYMM(sales_date) as month from " ~ this ~ " where month in (select month from " ~ changed
            ~ ") and month not in (select month from " ~ changed ~ " where is_new) group by month"
            ~ " having countIf(order_id not in (select order_id from " ~ changed ~ ")) = 0"
        ) -%}
        {%- if emptied.rows %}
alter table {{ this }}
            {%- for row in emptied.rows %} drop partition id '{{ row[0] }}' {{- ',' if not loop.last }} {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
