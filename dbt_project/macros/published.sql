{#- A table with the parts of another table, which has passed its data tests.

    dbt tests a table after it has replaced the one before it, so readers see rows that no test has passed.
    Here the tests are on an intermediate model that nobody reads. dbt builds the published table, and all that
    depends on it, only after they have passed. ClickHouse links the parts and copies nothing, so it takes
    milliseconds for any number of rows. Structure, keys and engine are those of the tested table.

    The model is `select * from {{ ref('the tested model') }}`, with an enforced contract if it has one.
    Limit: a database that can exchange tables (Atomic, Replicated or Shared); in another one it is dbt's `table`. -#}
{% materialization published, adapter='clickhouse' %}

  {%- set existing = load_cached_relation(this) -%}
  {%- if existing is not none and not existing.can_exchange -%}
    {{ return(materialization_table_clickhouse()) }}
  {%- endif -%}

  {%- set target = this.incorporate(type='table') -%}
  {%- set replacement = make_backup_relation(target, 'table') if existing is not none else target -%}
  {%- set tested = graph.nodes[model.depends_on.nodes | first] -%}
  {%- set tested = api.Relation.create(schema=tested.schema, identifier=tested.alias, type='table') -%}

  {{ run_hooks(pre_hooks) }}
  {%- if existing is not none -%}
    {{ drop_relation_if_exists(load_cached_relation(replacement)) }}
  {%- endif -%}
  {%- if config.get('contract').enforced -%}
    {%- do get_assert_columns_equivalent(sql) -%}
  {%- endif -%}

  {%- call statement('create') -%}
    create table {{ replacement }} {{ on_cluster_clause(replacement) }} as {{ tested }}
  {%- endcall -%}
  {%- call statement('main') -%}
    alter table {{ replacement }} attach partition all from {{ tested }}
  {%- endcall -%}

  {%- if existing is not none -%}
    {%- do exchange_tables_atomic(replacement, target) -%}
  {%- endif -%}
  {%- do persist_docs(target, model) -%}
  {{ run_hooks(post_hooks) }}
  {%- if existing is not none -%}
    {{ drop_relation_if_exists(replacement) }}
  {%- endif -%}
  {{ return({'relations': [target]}) }}

{% endmaterialization %}
