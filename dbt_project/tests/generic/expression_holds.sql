{#- An expression is true for every row; returns the rows for which it is not. -#}
{% test expression_holds(model, expression) %}

select * from {{ model }} where not ({{ expression }})

{% endtest %}
