{#- dbt's materialization of data tests drops the view of a test's failing rows and creates it again. This one
    replaces it, in one statement. A project that installs this one as a package has dbt's. -#}
{% materialization test, adapter='clickhouse' %}

  {%- set existing = adapter.get_relation(database=database, schema=schema, identifier=model['alias']) -%}
  {%- set is_replaced = should_store_failures() and config.get('store_failures_as') == 'view'
      and adapter.supports_atomic_exchange() and (existing is none or existing.type == 'view') -%}
  {%- if not is_replaced -%}
    {{ return(materialization_test_default()) }}
  {%- endif -%}

  {%- set view = api.Relation.create(identifier=model['alias'], schema=schema, database=database, type='view') -%}
  {%- call statement('create') -%}
    {{ get_create_view_as_sql(view, get_limit_subquery_sql(sql, config.get('limit'))) }}
  {%- endcall -%}
  {%- call statement('main', fetch_result=True) -%}
    {{ get_test_sql(
        'select * from ' ~ view, config.get('fail_calc'), config.get('warn_if'), config.get('error_if'), limit=none
    ) }}
  {%- endcall -%}
  {{ return({'relations': [view]}) }}

{% endmaterialization %}
