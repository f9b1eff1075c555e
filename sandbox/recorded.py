"""A recorded world: the rows of captured answers, served with the same filters and paging."""

import json
from functools import partial
from pathlib import Path

from sandbox.search.search import Row, Search, Table
from sandbox.search.tables import ListTable, tickets_of
from sandbox.server.answers import on_sale
from sandbox.world.promotions import COLOURS
from sandbox.world.seats import barcode_rows, seat_row
from sandbox.world.seeded_random import Dice
from sandbox.world.world import Clock, Moment

PAGES = {
    "orders": ("orders_page.json", 50),
    "events": ("events_page.json", 10),
    "clients": ("clients_page.json", 100),
    "discounts": ("discounts_page.json", 100),
    "promo-codes": ("promo_codes_page.json", 500),
}


class RecordedWorld(Clock):
    """The organiser of a folder of captured pages.

    `seats` gives a show's answer of `/shows/{id}/seats` by show id, as `{seat id: seat}`; other
    shows have a made-up admission plan while they are on sale, and none (404) after.
    """

    def __init__(
        self, folder: Path | str, now: Moment | None = None, seats: dict[int, Row] | None = None
    ) -> None:
        super().__init__(now)
        self.search = Search()
        self._seats = seats or {}
        self._rows = {
            name: json.loads((Path(folder) / file).read_text())["data"]
            for name, (file, _) in PAGES.items()
        }
        self._rows["baskets"] = tickets_of(self._rows["orders"])
        sizes = {name: size for name, (_, size) in PAGES.items()} | {"baskets": 100}
        self.tables: dict[str, Table] = {
            name: ListTable(name, size, self._rows[name][0], partial(_always, self._rows[name]))
            for name, size in sizes.items()
        }

    def color_themes(self) -> list[Row]:
        return [{"id": number, "color": colour} for number, colour in COLOURS.items()]

    def seats(self, show_id: int) -> list[Row] | None:
        """The given seats of a show, or a zone for each of its prices while it is on sale."""
        if show_id in self._seats:
            return list(self._seats[show_id].values())
        for event in self._rows["events"]:
            for show in event["shows"]:
                if show["id"] == show_id and on_sale(show, self.moment):
                    return [self._zone(event, price) for price in show["prices"]]
        return None

    def _zone(self, event: Row, price: Row) -> Row:
        room = 100 + int(Dice(0).below("room", [price["id"]], 300)[0])
        sold = int(Dice(0).below("sold", [price["id"]], room)[0])
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
        """The valid tickets of a show among the recorded orders."""
        return barcode_rows(self._rows["orders"], show_id)


def _always(rows: list[Row], _now: int) -> list[Row]:
    return rows
