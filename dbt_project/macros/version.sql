{#- The moment of the vendor's last change as a number (microseconds since 1970, UTC). It depends
    on the data alone, so that a repeated or rebuilt load gives the same rows. -#}
{% macro version_of(timestamp) -%}
    toUInt64(toUnixTimestamp64Micro(toDateTime64({{ timestamp }}, 6, 'UTC')))
{%- endmacro %}
