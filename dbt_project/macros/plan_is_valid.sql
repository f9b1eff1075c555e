{#- Stop the seed before it touches its table if a line of the plan is invalid. The error names the
    line (numbered as in an editor) and the value, and the previous plan stays in place. -#}
{% macro plan_is_valid() -%}
    {%- if execute -%}
        {%- set plan = load_agate_table() -%}
        {%- set expected = ['sales_date', 'event_id', 'city', 'plan_tickets', 'plan_revenue'] -%}
        {%- if plan.column_names | list != expected -%}
            {{ exceptions.raise_compiler_error(
                "plan_sales.csv: the header must be " ~ expected | join(',') ~ ", not "
                ~ plan.column_names | join(',')
            ) }}
        {%- endif -%}
        {%- set problems, lines_of_grain = [], {} -%}
        {%- for row in plan.rows -%}
            {%- set line = loop.index + 1 -%}
            {%- set sales_date, event_id = (row['sales_date'] or '') | trim, (row['event_id'] or '') | trim -%}
            {%- if not qtickets.plan_date_exists(sales_date) | trim -%}
                {%- do problems.append("line " ~ line ~ ": sales_date '" ~ sales_date ~ "' is not a date like 2026-03-31") -%}
            {%- endif -%}
            {%- if not event_id -%}
                {%- do problems.append("line " ~ line ~ ": event_id is missing") -%}
            {%- endif -%}
            {%- if not modules.re.fullmatch('[0-9]+', (row['plan_tickets'] or '') | trim) -%}
                {%- do problems.append("line " ~ line ~ ": plan_tickets '" ~ (row['plan_tickets'] or '') ~ "' is not a whole number of 0 or more") -%}
            {%- endif -%}
            {%- if not modules.re.fullmatch('[0-9]{1,16}([.][0-9]{1,2})?', (row['plan_revenue'] or '') | trim) -%}
                {%- do problems.append("line " ~ line ~ ": plan_revenue '" ~ (row['plan_revenue'] or '') ~ "' is not an amount of 0 or more, like 15000.50") -%}
            {%- endif -%}
            {%- set grain = (sales_date, event_id, ((row['city'] or '') | trim | lower)) -%}
            {%- if grain in lines_of_grain -%}
                {%- do problems.append("line " ~ line ~ ": the same day, event and city as line " ~ lines_of_grain[grain]) -%}
            {%- endif -%}
            {%- do lines_of_grain.update({grain: line}) -%}
        {%- endfor -%}
        {%- if problems -%}
            {%- set more = " (and " ~ (problems | length - 5) ~ " more)" if problems | length > 5 else "" -%}
            {{ exceptions.raise_compiler_error("plan_sales.csv: " ~ problems[:5] | join('; ') ~ more) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- 'yes' if the text is a calendar date like 2026-03-31, else empty. Computed here, because Jinja
    cannot catch the error that `strptime` raises. -#}
{% macro plan_date_exists(text) -%}
    {%- if modules.re.fullmatch('[12][0-9]{3}-[0-9]{2}-[0-9]{2}', text) -%}
        {%- set year, month, day = text[:4] | int, text[5:7] | int, text[8:] | int -%}
        {%- set leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 -%}
        {%- set days = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] -%}
        {%- if 1 <= month <= 12 and 1 <= day <= days[month - 1] -%} yes {%- endif -%}
    {%- endif -%}
{%- endmacro %}
