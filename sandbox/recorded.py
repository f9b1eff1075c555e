"""A recorded world: the rows of captured pages, served with the same filters and paging."""

import json
from functools import partial
from pathlib import Path

from sandbox.search.paged_search import PagedSearch, Table
from sandbox.search.tables import ListTable, tickets_of
from sandbox.world.clock import Clock, TimestampLike
from sandbox.world.order_payloads import Row
from sandbox.world.promotions import COLOURS
from sandbox.world.schedule import is_on_sale
from sandbox.world.seating import barcode_rows, seat_row
from sandbox.world.seeded_random import SeededRandom

PAGES = {
    "orders": ("orders_page.json", 50),
    "events": ("events_page.json", 10),
    "clients": ("clients_page.json", 100),
    "discounts": ("discounts_page.json", 100),
    "promo-codes": ("promo_codes_page.json", 500),
}
"""(file name, page size) of each list."""


class RecordedWorld(Clock):
    """The organiser of a folder of captured pages.

    Args:
        folder: Contains the files of `PAGES`.
        now: The time at which the clock stands still; None for the real time.
        seats: Seats by show id, as `{seat id: seat}`. Other shows have made-up admission zones
            while they are on sale, and no seats (404) afterwards.
    """

    def __init__(
        self,
        folder: Path | str,
        now: TimestampLike | None = None,
        seats: dict[int, Row] | None = None,
    ) -> None:
        super().__init__(now)
        self.search = PagedSearch()
        self._seats = seats or {}
        self._rows = {
            name: json.loads((Path(folder) / file).read_text())["data"]
            for name, (file, _) in PAGES.items()
        }
        self._rows["baskets"] = tickets_of(self._rows["orders"])
        sizes = {name: size for name, (_, size) in PAGES.items()} | {"baskets": 100}
        self.tables: dict[str, Table] = {
            name: ListTable(name, size, self._rows[name][0], partial(_constant, self._rows[name]))
            for name, size in sizes.items()
        }

    def color_themes(self) -> list[Row]:
        return [{"id": number, "color": colour} for number, colour in COLOURS.items()]

    def seats(self, show_id: int) -> list[Row] | None:
        """Return the given seats of a show, or a zone for each of its prices while on sale."""
        if show_id in self._seats:
            return list(self._seats[show_id].values())
        for event in self._rows["events"]:
            for show in event["shows"]:
                if show["id"] == show_id and is_on_sale(show, self.timestamp):
                    return [self._zone(event, price) for price in show["prices"]]
        return None

    def _zone(self, event: Row, price: Row) -> Row:
        room = 100 + int(SeededRandom(0).below("room", [price["id"]], 300)[0])
        sold = int(SeededRandom(0).below("sold", [price["id"]], room)[0])
        shade = int(price["color_theme"])
        priced = {"price": price["default_price"], "currency_id": event["currency_id"]}
        return seat_row(
            (f"zone-{shade}", f"Зона {shade}"),
            None,
            room=room,
            paid=sold,
            reserved=0,
            disabled=False,
            priced=priced | {"color_theme_id": shade},
        )

    def barcodes(self, show_id: int) -> list[Row] | None:
        """Return the valid tickets of a show among the recorded orders."""
        return barcode_rows(self._rows["orders"], show_id)


def _constant(rows: list[Row], _now: int) -> list[Row]:
    return rows
