{#- A timestamp (of the vendor's latest change) as microseconds since 1970, UTC. It depends only on
    the data, so a repeated load or a rebuild gives the same rows. -#}
{% macro version_of(timestamp) -%}
    toUInt64(toUnixTimestamp64Micro(toDateTime64({{ timestamp }}, 6, 'UTC')))
{%- endmacro %}
