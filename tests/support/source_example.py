"""The example in the source's README, run in another folder against the sandbox."""

import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from sandbox import World, serve
from tests.support.paths import PROJECT

SOURCE_README = (PROJECT / "qtickets_source" / "README.md").read_text()
NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")


def call(folder: Path, *command: str | Path, **variables: str) -> str:
    """Run a command in another folder with an empty environment; return its standard output."""
    done = subprocess.run(
        command,
        cwd=folder,
        # dlt keeps root's pipelines in /var/dlt, which all processes share.
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "DLT_DATA_DIR": str(folder / "dlt"),
            "DO_NOT_TRACK": "1",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def load_the_example(folder: Path, python: str | Path) -> None:
    """Run the example twice into parquet files, and compare those with the sandbox's account.

    Args:
        folder: An empty folder, or one with a copy of the source.
        python: The Python to run it with. It must be able to import the source and dlt.
    """
    example = re.findall(r"```python\n(.*?)```", SOURCE_README, re.S)[0]
    assert 'destination="duckdb"' in example
    script = example.replace('destination="duckdb"', 'destination="filesystem"')
    ours = '{"pipelines", "sandbox", "local_clickhouse"} & set(sys.modules)'
    (folder / "sales.py").write_text(f"{script}\nimport sys\nassert not {ours}\n")
    (folder / ".dlt").mkdir()
    world = World(
        orders=120, seed=4, start=NOW - timedelta(days=20), end=NOW + timedelta(days=9), now=NOW
    )
    with serve(world, token="theirs") as service:
        (folder / ".dlt" / "secrets.toml").write_text(
            '[sources.qtickets]\ntoken = "theirs"\npii_salt = "a salt of theirs"\n'
        )
        (folder / ".dlt" / "config.toml").write_text(
            f'[sources.qtickets]\nbase_url = "{service.url}"\n'
            "initial_since = 2026-05-01T00:00:00Z\n"
            f'[destination.filesystem]\nbucket_url = "{folder / "files"}"\n'
            '[normalize.data_writer]\nfile_format = "parquet"\n'
            "[runtime]\ndlthub_telemetry = false\n"
        )
        call(folder, python, "sales.py")

    def ids(table: str) -> list[int]:
        files = (folder / "files" / "zakaz_raw" / table).glob("*.parquet")
        return sorted(
            row for file in files for row in pq.ParquetFile(file).read()["id"].to_pylist()
        )

    paid = [order for order in world.orders() if order["payed"]]
    assert len(paid) > 50
    assert ids("orders") == sorted(order["id"] for order in paid), (
        "the second run loaded orders again"
    )
    assert ids("tickets") == sorted(t["id"] for order in paid for t in order["baskets"])
    assert ids("events") == sorted(event["id"] for event in world.events())
    assert ids("shows"), "the nested shows have no table"
