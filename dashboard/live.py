"""What the served page asks for every few seconds: the last sales and the seats left."""

from typing import Any

from clickhouse_connect.driver.client import Client

from .data import QUERIES
from .options import PageOptions

LAST_SALES = 10
SHOWS = 8


def read_live_data(client: Client, options: PageOptions) -> dict[str, list[dict[str, Any]]]:
    """Return `sales` and `seats` as lists of rows; money in hundredths, times as Unix seconds.

    Raises:
        ClickHouseError: The driver's error, if a query fails.
    """
    now = f"toDateTime('{options.now}', 'UTC')" if options.now else "now('UTC')"
    today = f"toDate(toTimeZone({now}, '{options.time_zone}'))"

    def read(name: str) -> list[dict[str, Any]]:
        sql = (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
        result = client.query(
            sql.format(today=today, last_sales=LAST_SALES, shows=SHOWS),
            settings={"database": options.database},
        )
        return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]

    return {"sales": read("last_sales"), "seats": read("seats_left")}
