{{ config(materialized='published') }}

select * from {{ ref('int_qtickets_tickets') }}
