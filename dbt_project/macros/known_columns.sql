{#- Overrides of macros of dbt-clickhouse that ask the server for what the project knows. Each question is a
    statement, for which dbt prepares a macro of its own. With macros/data_test.sql, a full build sends 400 statements
    instead of 551. A project that installs this one as a package has the macros of dbt-clickhouse. -#}

{#- The columns of a table are those of its contract; without one, the table was created from `sql`. -#}
{% macro clickhouse__insert_into(target_relation, sql, has_contract, use_columns_from_sql=False) %}
  {%- if has_contract %}
    {%- set columns = '`' ~ model.columns.values() | map(attribute='name') | join('`, `') ~ '`' %}
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from ({{ sql }})
  {%- else %}
    insert into {{ target_relation }} {{ sql }}
  {%- endif %}
  {{ adapter.get_model_query_settings(model) }}
{%- endmacro %}

{#- Every documented column exists. -#}
{% macro clickhouse__persist_docs(relation, model, for_relation, for_columns) %}
  {%- set comments = [] %}
  {%- if for_relation and config.persist_relation_docs() and model.description %}
    {%- do comments.append('modify comment ' ~ clickhouse_escape_comment(model.description)) %}
  {%- endif %}
  {%- if for_columns and config.persist_column_docs() %}
    {%- for column in model.columns.values() if column.description %}
      {%- do comments.append('comment column `' ~ column.name ~ '` ' ~ clickhouse_escape_comment(column.description)) %}
    {%- endfor %}
  {%- endif %}
  {%- if comments %}
    {%- do run_query(one_alter_relation(relation, comments | join(', '))) %}
  {%- endif %}
{% endmacro %}
