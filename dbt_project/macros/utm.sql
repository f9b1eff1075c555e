{#- A UTM mark of an order. The vendor sends an object, or [] or '' when there is none. -#}
{% macro utm_of(json, name) -%}
    toLowCardinality(JSONExtractString(coalesce({{ json }}, ''), '{{ name }}'))
{%- endmacro %}

{% macro utm_names() -%}
    {{ return(['utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term']) }}
{%- endmacro %}
