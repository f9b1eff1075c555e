"""The suite `soak`: 200 runs with sales, refunds, faults and kills between them.

What a run leaves must not grow with the number of runs: memory, files, parts, state. After every
tenth run the sums of the marts are held against the orders of the sandbox. `compact` runs every
fiftieth time, as it would every week.
"""

import random
import shutil
import signal
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from decimal import Decimal
from pathlib import Path
from statistics import median

from clickhouse_connect.driver.client import Client

from local_clickhouse import running_server
from sandbox import Fault, Server, World, serve

from .clients import connect
from .command import run_command
from .order_file import SEED
from .report import Ratio, Results
from .sandbox_process import NOW, TOKEN, YEAR

ORDERS = 5_000
RUNS = 200
COMPARED_EVERY = 10
COMPACTED_EVERY = 50
HOURS_BETWEEN = 0.5
PATIENCE = {"QTICKETS_RETRY_SECONDS": "1"}
Sums = dict[str, tuple[int, Decimal]]


@dataclass(frozen=True)
class Left:
    """What is there after a run.

    Attributes:
        run: Number of the run.
        peak_mb: Peak memory of the last successful run.
        server_mb: Memory that ClickHouse has allocated.
        files: Files in QTICKETS_HOME outside of ClickHouse.
        files_mb: Their size, without logs.
        logs_mb: Size of dbt's logs, which dbt replaces at 10 MB.
        parts: Active parts of the project's tables.
        tables: Tables and views.
        tables_mb: Size of the tables.
        state_rows: Rows of dlt's state; every load that changes it adds one, and `compact` removes
            those of more than 30 days ago.
    """

    run: int
    peak_mb: float
    server_mb: float
    files: int
    files_mb: float
    logs_mb: float
    parts: int
    tables: int
    tables_mb: float
    state_rows: int


def measure(scale: float, repeat: int, folder: Path, say: Callable[[str], None]) -> Results:
    """Alternate changes of the account with runs, of which some fail or are killed."""
    del repeat  # It is repeated by itself.
    world = World(orders=2 * ORDERS, seed=SEED, start=NOW - YEAR, end=NOW + YEAR, now=NOW)
    home = folder / "home-soak"
    shutil.rmtree(home, ignore_errors=True)
    runs, chance = max(2 * COMPARED_EVERY, round(RUNS * scale)), random.Random(SEED)
    found: list[Left] = []
    wrong = failed = killed = 0
    say("soak: " + ", ".join(Left.__annotations__))
    with running_server(home, database="zakaz") as clickhouse, serve(world, token=TOKEN) as server:
        client = connect(clickhouse, "default")
        run_command(home, server)
        for run in range(1, runs + 1):
            world.advance(HOURS_BETWEEN)
            _change(world, chance)
            # Every tenth run, the one that is compared, has to succeed.
            if run % COMPARED_EVERY == 3:
                failed += _fails(home, server)
            elif run % COMPARED_EVERY == 7:
                killed += _is_killed(home, server, chance)
            else:
                if run % COMPARED_EVERY == 5:
                    server.faults.append(Fault("/orders", kind="status", status=502, times=1))
                cost = run_command(home, server)
                server.faults.clear()
            if run % COMPARED_EVERY == 0:
                wrong += _sums_of_marts(client) != _sums_of_world(world)
                found.append(_left(run, cost.peak_bytes, home, client))
                say("soak: " + ", ".join(f"{value:g}" for value in astuple(found[-1])))
            if run % COMPACTED_EVERY == 0:
                run_command(home, server, "compact")
    shutil.rmtree(home, ignore_errors=True)
    say(f"soak: {runs} runs, {failed} failed and {killed} were killed, {wrong} comparisons differ")
    return Results(
        ratios=[Ratio("soak", "comparisons that differ", wrong, "≤ 0"), *_growths(found)]
    )


def _growths(found: list[Left]) -> list[Ratio]:
    """Return how much more there is at the end than at the beginning: medians of five."""
    first, last = found[: len(found) // 2][:5], found[len(found) // 2 :][-5:]
    targets = {
        "peak_mb": "≤ 1.1",
        "server_mb": "≤ 1.5",
        "files": "≤ 1.1",
        "files_mb": "≤ 1.5",
        "parts": "≤ 2",
        "tables": "≤ 1",
        "logs_mb": "",
        "tables_mb": "",
        "state_rows": "",
    }

    return [
        Ratio(
            "soak",
            f"last to first, {name}",
            median(getattr(each, name) for each in last)
            / median(getattr(each, name) for each in first),
            target,
        )
        for name, target in targets.items()
    ]


def _change(world: World, chance: random.Random) -> None:
    """Sell some tickets; refund, cancel, exchange or scan some."""
    sold = [world.sell(tickets=chance.randint(1, 4)) for _ in range(chance.randint(1, 6))]
    alive = [
        order
        for order in (world.order(each["id"]) for each in world.orders(0, 400))
        if order["payed"] and not order["deleted_at"] and _valid(order)
    ]
    world.refund(chance.choice(alive)["id"])
    chosen = chance.choice(sold)
    match chance.randrange(4):
        case 0:
            world.cancel(chosen)
        case 1:
            world.exchange(chosen)
        case 2:
            world.scan(world.order(chosen)["baskets"][0]["id"])


def _fails(home: Path, server: Server) -> bool:
    server.faults.append(Fault("/orders", kind="status", status=500))
    run_command(home, server, exit_codes=(3,), variables=PATIENCE)
    server.faults.clear()
    return True


def _is_killed(home: Path, server: Server, chance: random.Random) -> bool:
    after = chance.uniform(0.5, 8)
    cost = run_command(home, server, exit_codes=(0, -signal.SIGKILL), kill_after=after)
    return cost.seconds >= after


def _valid(order: dict[str, object]) -> list[dict[str, object]]:
    tickets: list[dict[str, object]] = order["baskets"]  # type: ignore[assignment]
    return [each for each in tickets if not each["deleted_at"] and not each["refunded_at"]]


def _sums_of_world(world: World) -> Sums:
    """Return tickets and revenue by currency, from the orders as the service has them."""
    sums: Sums = {}
    for order in world.orders():
        if not order["payed"] or order["deleted_at"]:
            continue
        tickets, revenue = sums.get(order["currency_id"], (0, Decimal()))
        for ticket in _valid(order):
            quantity = int(str(ticket["quantity"]))
            tickets += quantity
            revenue += Decimal(str(ticket["price"])) * quantity
        sums[order["currency_id"]] = tickets, revenue
    return {currency: each for currency, each in sums.items() if each[0]}


def _sums_of_marts(client: Client) -> Sums:
    rows = client.query(
        "SELECT currency, sum(tickets_sold), sum(revenue) FROM zakaz.fact_qtickets_sales_daily"
        " GROUP BY currency HAVING sum(tickets_sold) > 0"
    ).result_rows
    return {currency: (int(tickets), Decimal(revenue)) for currency, tickets, revenue in rows}


def _left(run: int, peak_bytes: int, home: Path, client: Client) -> Left:
    # ClickHouse's own files come and go.
    folders = [path for path in home.iterdir() if path.name != "clickhouse"]
    files = [
        file
        for folder in folders
        for file in ([folder] if folder.is_file() else folder.rglob("*"))
        if file.is_file()
    ]
    ours = "startsWith(database, 'zakaz')"
    parts, size = client.query(
        f"SELECT count(), sum(bytes_on_disk) FROM system.parts WHERE active AND {ours}"
    ).result_rows[0]
    return Left(
        run=run,
        peak_mb=round(peak_bytes / 1e6),
        server_mb=round(_memory_of_server(client) / 1e6),
        files=len(files),
        files_mb=_megabytes(file for file in files if ".log" not in file.name),
        logs_mb=_megabytes(file for file in files if ".log" in file.name),
        parts=parts,
        tables=int(str(client.command(f"SELECT count() FROM system.tables WHERE {ours}"))),
        tables_mb=round(size / 1e6, 1),
        state_rows=int(str(client.command("SELECT count() FROM zakaz_raw._dlt_pipeline_state"))),
    )


def _megabytes(files: Iterable[Path]) -> float:
    return round(sum(file.stat().st_size for file in files) / 1e6, 1)


def _memory_of_server(client: Client) -> float:
    value = client.command("SELECT value FROM system.metrics WHERE metric = 'MemoryTracking'")
    return float(str(value))
