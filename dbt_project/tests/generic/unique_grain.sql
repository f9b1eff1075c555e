{#- The grain of a model: no two rows share these columns. `months_of`, a date, leaves out months that
    were not built anew. -#}
{% test unique_grain(model, columns, months_of=none) %}

select {{ columns | join(', ') }}, count() as copies
from {{ model }}
{% if months_of %}where {{ qtickets.in_changed_months(months_of) }}{% endif %}
group by {{ columns | join(', ') }}
having copies > 1

{% endtest %}
