{{ config(order_by='(created_date, event_id, currency)', partition_by='toYear(created_date)') }}

select
    created_date,
    event_id,
    currency,
    count() as orders_created,
    countIf(is_paid) as orders_paid,
    countIf(not is_paid and is_deleted) as orders_expired,
    countIf(not is_paid and not is_deleted) as orders_waiting,
    countIf(is_paid and is_deleted) as orders_cancelled,
    toDecimal64(sumIf(price, not is_paid and not is_deleted), 2) as reserved_amount,
    toDecimal64(sumIf(price, not is_paid and is_deleted), 2) as lost_amount,
    {{ version_of('max(changed_at)') }} as _ver

from {{ ref('stg_qtickets_api_reservations_raw') }}
group by created_date, event_id, currency
