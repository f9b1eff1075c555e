{#- The UTM marks of an order, read at once. The vendor sends an object, or [] or '' when there is
    none. -#}
{% macro utm_of(json) -%}
    JSONExtract(
        if(startsWith(coalesce({{ json }}, ''), '{'), coalesce({{ json }}, ''), ''),
        'Tuple({{ qtickets.utm_names() | join(' String, ') }} String)'
    )
{%- endmacro %}

{% macro utm_names() -%}
    {{ return(['utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term']) }}
{%- endmacro %}
