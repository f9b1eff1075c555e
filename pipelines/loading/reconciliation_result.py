"""The result of a reconciliation, by month and by order."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Month:
    """The result for a month of payment (UTC).

    Attributes:
        month: As `YYYY-MM`; `before YYYY-MM` for the time before the first payment's month.
        orders_at_service: Paid orders that the service counts.
        orders_loaded: Paid orders that were loaded.
        differs: Whether anything differed.
        tickets_before: Tickets ever paid that were loaded before a deep one; else null.
        tickets: The same after it.
        amounts_differ: Whether their money changed by it.
    """

    month: str
    orders_at_service: int
    orders_loaded: int
    differs: bool = False
    tickets_before: int | None = None
    tickets: int | None = None
    amounts_differ: bool = False


@dataclass
class Reconciliation:
    """The result of a reconciliation.

    Attributes:
        months: By month, oldest first.
        missing: Orders that were not loaded.
        changed: Orders that were loaded with another date of payment.
        not_found: Orders that the service does not list, and that count until that is sure.
        vanished: Orders that the service no longer lists; they leave revenue.
        is_repaired: Whether the differences were mended.
        is_full: Whether it began with the beginning of what is loaded.
        is_deep: Whether every order was read again.
        problem: Why nothing could be compared; empty: it could.
    """

    months: list[Month] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    not_found: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)
    is_repaired: bool = False
    is_full: bool = False
    is_deep: bool = False
    problem: str = ""

    def as_metrics(self) -> dict[str, Any]:
        """Return the result as the job log keeps it."""
        ids = ("missing", "changed", "not_found", "vanished")
        return {
            "months": [asdict(month) for month in self.months],
            **{name: getattr(self, name)[:100] for name in ids},
            "is_repaired": self.is_repaired,
            "is_full": self.is_full,
            "is_deep": self.is_deep,
            "problem": self.problem,
        }

    @property
    def differing(self) -> list[Month]:
        """The months in which something differed."""
        return [month for month in self.months if month.differs]

    @property
    def sentence(self) -> str:
        """What was found, in one or two sentences."""
        if self.problem:
            return f"The reconciliation was not made: {self.problem}"
        orders = sum(month.orders_loaded for month in self.months)
        if not (self.differing or self.missing):
            return f"{orders:,} paid orders in {len(self.months)} months equal those of QTickets."
        found = [
            f"{len(ids)} {words}"
            for ids, words in (
                (self.missing, "orders were missing and are loaded now"),
                (self.changed, "orders had moved and were read again"),
                (self.vanished, "orders no longer exist and have left revenue"),
                (self.not_found, "orders are no longer listed and count until that is sure"),
            )
            if ids
        ]
        months = ", ".join(month.month for month in self.differing[:3])
        more = len(self.differing) - 3
        where = months + (f" and {more} more months" if more > 0 else "") or "orders without a date"
        if not self.is_repaired and not self.is_deep:
            return f"Paid orders differ from those of QTickets in {where}; nothing was changed."
        return f"In {where}: {'; '.join(found) or 'tickets or money differed, and are right now'}."
