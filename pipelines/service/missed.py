"""Count the orders that a scheduled run found and that no webhook had named."""

from datetime import datetime, timedelta, timezone
from typing import Any

from pipelines.service.spool import Spool
from pipelines.warehouse.server import Warehouse

UNDER_WAY = timedelta(minutes=1)
"""The webhook of an order that changed later than this may still come."""


def count_missed(
    warehouse: Warehouse, spool: Spool, since: datetime, until: datetime
) -> dict[str, Any]:
    """Return how many paid orders changed in [since, until), and how many no webhook named.

    Raises:
        ClickHouseError, SpoolError: They could not be counted.
    """
    with warehouse.connect(warehouse.loader) as client:
        rows = client.query(
            f"SELECT id FROM `{warehouse.raw_db}`.orders FINAL WHERE payed"  # noqa: S608
            " AND _fetched_at >= {since:DateTime64(6)}"
            " AND updated_at >= {since:DateTime64(6)} AND updated_at < {until:DateTime64(6)}",
            parameters={"since": since, "until": until - UNDER_WAY},
        ).result_rows
    changed = {int(id_) for (id_,) in rows}
    named = spool.named_since((since - UNDER_WAY).timestamp())
    last = spool.last_received()
    return {
        "changed": len(changed),
        "missed": len(changed - named),
        "last_at": last
        and datetime.fromtimestamp(last, timezone.utc).isoformat(timespec="seconds"),
    }
