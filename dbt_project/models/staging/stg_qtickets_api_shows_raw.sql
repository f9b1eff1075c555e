select
    shows.id as show_id,
    toString(shows.event_id) as event_id,
    coalesce(shows.start_date, shows.open_date) as starts_at,
    coalesce(shows.finish_date, shows.start_date, shows.open_date) as ends_at,
    shows.deleted_at is not null as is_deleted

from {{ source('qtickets_raw', 'shows') }} as shows final
