{#- The columns are the grain of the model: no two rows have the same values in them. With a
    `rebuild_key`, a partial rebuild checks only the rows that it replaced. -#}
{% test unique_grain(model, columns, rebuild_key=none) %}

select {{ columns | join(', ') }}, count() as copies
from {{ model }}
{% if rebuild_key %}where {{ qtickets.is_changed(rebuild_key) }}{% endif %}
group by {{ columns | join(', ') }}
having copies > 1

{% endtest %}
