"""Runs of the source alone, without ClickHouse, against a world that changes."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import pyarrow.parquet as pq
import pytest

from qtickets_source import (
    Observations,
    QTicketsConfiguration,
    QTicketsError,
    qtickets_backfill_source,
    qtickets_source,
)
from qtickets_source.errors import FilterIgnored, Misunderstood, OtherAccount
from sandbox import Server, World

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
SINCE = NOW - timedelta(days=20)
TOKEN = "sandbox-token"
Row = dict[str, Any]


class Loads:
    """Loads into a destination that records the ids of orders."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.orders: list[int] = []
        self.events: list[Row] = []
        self.observed = Observations()

        @dlt.destination(batch_size=0, loader_file_format="parquet", name="kept")
        def keep(path: Any, table: Any, /) -> None:
            if table["name"] == "orders":
                self.orders += pq.read_table(path)["id"].to_pylist()
            if table["name"] in ("events", "shows"):
                self.events += pq.read_table(path).drop_columns(["_fetched_at"]).to_pylist()

        self.pipeline = dlt.pipeline("proof", pipelines_dir=str(folder), destination=keep)

    def run(self, *resources: str) -> list[int]:
        """Run once with a new `observed`; return the ids of the loaded orders."""
        self.orders.clear()
        self.events.clear()
        self.observed = Observations()
        source = qtickets_source(self.configuration, observed=self.observed)
        self.pipeline.run(source.with_resources(*(resources or ("orders", "order_changes"))))
        return sorted(self.orders)

    def backfill(self) -> list[int]:
        self.orders.clear()
        source = qtickets_backfill_source(SINCE, NOW, {}, self.configuration)
        self.pipeline.run(source)
        return sorted(self.orders)

    @property
    def configuration(self) -> QTicketsConfiguration:
        return QTicketsConfiguration(
            token=TOKEN,
            pii_salt="0" * 64,
            base_url=self.server.url,
            initial_since=SINCE,
            retry_seconds=1,
            overlap_hours=0,
        )

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.pipeline.state.get("sources", {}).get("qtickets", {})
        return {name: value for name, value in state.items() if name != "resources"}

    def fails(self, words: str) -> None:
        """Check that a run fails with these words and does not change the state."""
        before = repr(self.state)
        with pytest.raises(Exception) as raised:
            self.run()
        error: BaseException | None = raised.value
        while error and not isinstance(error, QTicketsError):
            hidden = error.__suppress_context__
            error = error.__cause__ or (None if hidden else error.__context__)
        assert isinstance(error, (Misunderstood, FilterIgnored, OtherAccount)), raised.value
        assert words in str(error)
        self.pipeline.abort_packages()
        assert repr(self.state) == before


def paid(server: Server) -> list[int]:
    assert isinstance(server.world, World)
    return sorted(order["id"] for order in server.world.orders() if order["payed"])


def refund_one(server: Server, number: int = 0) -> int:
    """Refund an order a day later; return its id."""
    assert isinstance(server.world, World)
    world = server.world
    world.advance(24)
    order: int = next(
        order["id"]
        for order in world.orders()[number:]
        if order["payed"]
        and order["deleted_at"] is None
        and any(t["refunded_at"] is None and t["deleted_at"] is None for t in order["baskets"])
    )
    world.refund(order)
    return order


def world() -> World:
    """Return the account of these tests: 25 days of sales, five of them in the future."""
    return World(orders=400, seed=3, start=SINCE, end=NOW + timedelta(days=5), now=NOW)
