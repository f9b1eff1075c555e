{#- The UTM parameters of an order as one tuple, so that the JSON is parsed once. The vendor sends an
    object, or [] or '' if there are none. -#}
{% macro utm_of(json) -%}
    JSONExtract(
        if(startsWith(coalesce({{ json }}, ''), '{'), coalesce({{ json }}, ''), ''),
        'Tuple({{ qtickets.utm_names() | join(' String, ') }} String)'
    )
{%- endmacro %}

{% macro utm_names() -%}
    {{ return(['utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term']) }}
{%- endmacro %}
