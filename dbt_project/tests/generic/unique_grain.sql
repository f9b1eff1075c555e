{#- The grain of a model: no two rows share these columns. `among_changed` leaves out rows that
    were not built anew, as `is_changed` knows them. -#}
{% test unique_grain(model, columns, among_changed=none) %}

select {{ columns | join(', ') }}, count() as copies
from {{ model }}
{% if among_changed %}where {{ qtickets.is_changed(among_changed) }}{% endif %}
group by {{ columns | join(', ') }}
having copies > 1

{% endtest %}
