select
    shows.id as show_id,
    toString(shows.event_id) as event_id,
    coalesce(shows.start_date, shows.open_date) as starts_at,
    coalesce(shows.finish_date, shows.start_date, shows.open_date) as ends_at,
    shows.deleted_at is not null as is_deleted,
    coalesce(shows.name, '') as show_name,
    shows.sale_start_date as sale_starts_at,
    shows.sale_finish_date as sale_ends_at,
    coalesce(shows.updated_at, shows.created_at, toDateTime64(0, 6, 'UTC')) as changed_at

from {{ source('qtickets_raw', 'shows') }} as shows final
