{#- A table in which only the rows affected by changed orders are rebuilt: docs/partial_rebuilds.md.

    With QTICKETS_CHANGED_SINCE set, a new table takes over the rows of the present one for which
    `is_changed(rebuild_key)` is false; the model's SELECT supplies all others; then the two tables
    are exchanged in one step. Without the variable, it is dbt's `table`.
    ClickHouse attaches the parts of the present table to the new one without copying them, and a
    lightweight delete masks the rows to be rebuilt. Replacing 25,000 of six million buyers takes a
    quarter of the time of a copy.

    Config:
      rebuild_key  'month', 'month, order_id' or 'buyer_hash', as in `is_changed`. Required.
      All others (order_by, partition_by, settings, contract) as for `table`.

    Limits:
    - ClickHouse only, in a database that can exchange tables: engine Atomic, Replicated or Shared.
    - Table engines: MergeTree attaches and masks. Every other engine (ReplicatedMergeTree,
      SharedMergeTree) copies the rows it keeps: each replica would evaluate the delete's subquery
      by itself, and might not have the newest int_qtickets_changed yet.
    - If the table is missing or cannot be exchanged, the model fails and leaves everything in place.
      The rows it selects would otherwise become the complete table. After a failed run, the
      pipeline rebuilds everything.
    - The model must have the columns and keys of the present table: parts attach only to a table of
      the same structure. An enforced contract is checked as for `table`.
    - Not supported: projections (a lightweight delete refuses them), materialized views that read
      the table (attached parts do not reach them), the config `grants`, and --full-refresh, which
      changes nothing while the variable is set.

    The caller guarantees:
    - The model's SELECT returns exactly the rows of the complete table for which
      `is_changed(rebuild_key)` is true.
    - All tables were last built together, by this version of the project with the same variables,
      from every raw row fetched up to the moment in QTICKETS_CHANGED_SINCE.
    - Nothing else has written to them since, and nothing else builds them at the same time.
    pipelines/transform/build_plan.py checks the last two before it sets the variable. -#}
{% materialization partial_rebuild, adapter='clickhouse' %}

  {%- set existing = load_cached_relation(this) -%}
  {%- if not qtickets.changed_since() -%}
    {{ return(materialization_table_clickhouse()) }}
  {%- elif existing is none or not existing.can_exchange -%}
    {{ exceptions.raise_compiler_error(
        this ~ " cannot be rebuilt partially: the table does not exist, or the server cannot exchange tables"
        ~ " in its database (its engine must be Atomic, Replicated or Shared). The next run rebuilds everything."
    ) }}
  {%- endif -%}

  {%- set target = this.incorporate(type='table') -%}
  {%- set rebuilt = make_backup_relation(target, 'table') -%}
  {%- set has_contract = config.get('contract').enforced -%}
  {%- set is_changed = qtickets.is_changed(config.require('rebuild_key')) -%}

  {{ run_hooks(pre_hooks) }}
  {{ drop_relation_if_exists(load_cached_relation(rebuilt)) }}
  {%- do clickhouse__create_empty_table(False, rebuilt, sql, has_contract) -%}

  {%- set engine = run_query(
      "select engine from system.tables where database = '" ~ target.schema ~ "' and name = '" ~ target.identifier ~ "'"
  ).rows[0][0] %}
  {%- if engine == 'MergeTree' %}
    {%- call statement('attach') -%}
      alter table {{ rebuilt }} attach partition all from {{ target }}
    {%- endcall %}
    {%- call statement('mask') -%}
      delete from {{ rebuilt }} where {{ is_changed }} settings lightweight_deletes_sync = 2
    {%- endcall %}
  {%- else %}
    {%- call statement('copy') -%}
      {{ clickhouse__insert_into(rebuilt, 'select * from ' ~ target ~ ' where not (' ~ is_changed ~ ')', has_contract) }}
    {%- endcall %}
  {%- endif %}

  {%- call statement('main') -%}
    {{ clickhouse__insert_into(rebuilt, sql, has_contract) }}
  {%- endcall %}

  {%- do exchange_tables_atomic(rebuilt, target) -%}
  {%- do persist_docs(target, model) -%}
  {{ run_hooks(post_hooks) }}
  {{ drop_relation_if_exists(rebuilt) }}
  {{ return({'relations': [target]}) }}

{% endmaterialization %}

{#- Table settings under which parts above 20 MB are not merged. Merging them would write each row
    once more, for a table that is replaced within a day. -#}
{% macro merge_only_small_parts() -%}
    {{ return({'max_bytes_to_merge_at_max_space_in_pool': 20000000}) }}
{%- endmacro %}
