"""The orders of a world at a given time: generated orders, replaced by their edited versions."""

from collections.abc import Sequence

from sandbox.world.edits import Edits
from sandbox.world.order_payloads import Row, order_rows
from sandbox.world.plan import WorldPlan


class VisibleOrders:
    """The generated orders of a plan together with the edits of a world."""

    def __init__(self, plan: WorldPlan, edits: Edits) -> None:
        self.plan, self.edits = plan, edits

    def generated(self, now: int) -> int:
        """Return how many generated orders have been made by `now`."""
        return self.plan.demand.made_by(now)

    def rows(self, ids: Sequence[int], now: int) -> list[Row]:
        """Return the orders with these ids as they are at `now`, in the order of the ids."""
        ids = [id_ for id_ in ids if id_ not in self.edits.erased]
        rows = {id_: self.edits.current(id_, now) for id_ in ids}
        generated = [id_ for id_ in ids if rows[id_] is None]
        index = [self.plan.index_of(id_) for id_ in generated]
        if index:
            rows |= zip(generated, order_rows(self.plan, index, now), strict=True)
        return [row for id_ in ids if (row := rows[id_]) is not None]

    def row(self, order_id: int, now: int) -> Row | None:
        """Return one order, or None if no order has this id at `now`."""
        if order_id in self.edits.erased:
            return None
        row = self.edits.current(order_id, now)
        index = self.plan.index_of(order_id)
        if row is None and 0 <= index < self.generated(now):
            (found,) = order_rows(self.plan, [index], now)
            return found if found["id"] == order_id else None
        return row
