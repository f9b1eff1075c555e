"""A dlt source for QTickets (qtickets.ru): ticket sales, events, seats, discounts, promo codes.

    import dlt
    from qtickets_source import qtickets_source

    pipeline = dlt.pipeline("qtickets", destination="clickhouse", dataset_name="zakaz_raw")
    pipeline.run(qtickets_source())

Token and salt come from dlt's configuration: `sources.qtickets.token`, `sources.qtickets.pii_salt`.
Names are imported when they are first used (PEP 562), so that `qtickets_source.settings` and
`qtickets_source.errors` can be imported without dlt, which takes two seconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backfill import orders_extent, qtickets_backfill_source, reset_state_source
    from .configuration import QTicketsConfiguration
    from .errors import QTicketsError
    from .hints import HintedOrders, qtickets_hints_source
    from .observations import Findings, Observations, RequestCounts
    from .reconciliation import qtickets_reconciliation_source
    from .source import empty_tables_source, qtickets_source

__all__ = [
    "Findings",
    "HintedOrders",
    "Observations",
    "QTicketsConfiguration",
    "QTicketsError",
    "RequestCounts",
    "empty_tables_source",
    "orders_extent",
    "qtickets_backfill_source",
    "qtickets_hints_source",
    "qtickets_reconciliation_source",
    "qtickets_source",
    "reset_state_source",
]

_MODULES = {
    "Findings": "observations",
    "HintedOrders": "hints",
    "Observations": "observations",
    "QTicketsConfiguration": "configuration",
    "QTicketsError": "errors",
    "RequestCounts": "observations",
    "empty_tables_source": "source",
    "orders_extent": "backfill",
    "qtickets_backfill_source": "backfill",
    "qtickets_hints_source": "hints",
    "qtickets_reconciliation_source": "reconciliation",
    "qtickets_source": "source",
    "reset_state_source": "backfill",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
