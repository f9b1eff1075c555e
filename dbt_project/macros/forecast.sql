{#- The constants of the forecast, chosen by `python -m benchmarks.forecast` on its tuning seeds. -#}
{% macro forecast_constants() -%}
    {{ return({
        'horizons': [1, 3, 7, 14, 30],
        'offset': 3,
        'age_width': 0.8,
        'run_width': 0.7,
        'memory_days': 1000,
        'sold_width': 1.0,
        'pace_width': 1.2,
        'hall_width': 0.8,
        'event_weight': 1.0,
        'city_shows': 2,
        'all_shows': 3,
        'ridge': 0.5,
        'usual_slope': 0.7,
        'usual_pace': 0.15,
        'least_slope': 0.2,
        'usual_spread': 0.4,
        'bias': 0.2,
        'usual_misses': 8,
        'narrow': [0.75, 0.8, 0.87, 0.87, 0.92],
        'event_correlation': 0.3,
        'sold_out_from': 0.99,
        'wide': 1.2,
        'recenter': 0.5,
    }) }}
{%- endmacro %}
