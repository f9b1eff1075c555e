{#- The price zone of a seat: of `PARTERRE-1;6` it is `PARTERRE`. A seat that is sold at several tariffs begins
    with the code of the tariff, `child_PARTERRE-1;6`. -#}
{% macro zone_of_seat(seat_id, tariff) -%}
    substring(
        {{ seat_id }},
        1 + if({{ tariff }} != '' and startsWith({{ seat_id }}, concat({{ tariff }}, '_')), length({{ tariff }}) + 1, 0),
        greatest(toInt64(length({{ seat_id }})) - toInt64(position(reverse({{ seat_id }}), '-')), 0)
        - if({{ tariff }} != '' and startsWith({{ seat_id }}, concat({{ tariff }}, '_')), length({{ tariff }}) + 1, 0)
    )
{%- endmacro %}
