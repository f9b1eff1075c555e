"""Runs write and show no secrets and no personal data.

The tests search the output, the process list, every table, and every file in QTICKETS_HOME: the
folders of the embedded ClickHouse, dlt and dbt, and the page. Compressed files are unpacked.
"""

import gzip
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet
import pytest
from dlt.common.versioned_state import decompress_state

from local_clickhouse import LocalServer, running_server
from sandbox import Fault, World, serve
from tests.support.clickhouse import query
from tests.support.paths import PROJECT

pytestmark = pytest.mark.slow

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
TOKEN = "a-token-that-must-never-be-written-down"
# The files for secrets, with mode 600.
SECRETS_OF_ITS_OWN = {"credentials.json", "pii_salt"}


@dataclass
class Traces:
    """Texts that runs wrote or showed, by the place where they were found."""

    home: Path
    world: World
    output: dict[str, str] = field(default_factory=dict)
    processes: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    @property
    def everything(self) -> dict[str, str]:
        return self.output | self.files | self.tables | {"processes": "\n".join(self.processes)}

    @property
    def secrets(self) -> dict[str, str]:
        passwords = json.loads((self.home / "clickhouse" / "credentials.json").read_text())
        salt = (self.home / "pii_salt").read_text().strip()
        return {"token": TOKEN, "salt": salt, **passwords}


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Traces:
    folder = tmp_path_factory.mktemp("traces")
    world = World(orders=150, seed=5, start=NOW - timedelta(days=60), end=NOW, now=NOW)
    traces = Traces(folder / "home", world)
    # A folder that already exists and is readable for everyone.
    traces.home.mkdir(mode=0o755)
    # The server stays up for all runs: an embedded server loses its query log when it stops.
    with serve(world, token=TOKEN) as service, running_server(traces.home) as server:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "user"),
            "QTICKETS_TOKEN": TOKEN,
            "QTICKETS_BASE_URL": service.url,
            "QTICKETS_HOME": str(traces.home),
            "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
            "QTICKETS_RETRY_SECONDS": "1",
            "QTICKETS_SKIP_CLIENTS": "false",
            "QTICKETS_SKIP_BARCODES": "false",
        }
        call(traces, environment, "-v", "--json-logs", code=0)
        read_files(traces, "after a good run")
        call(traces, environment, "check", code=0)
        call(traces, environment, "config", code=0)
        service.faults.append(Fault("/orders", kind="status", status=500))
        call(traces, environment, "-v", code=3)
        read_tables(traces, server)
    read_files(traces, "after a failed run")
    return traces


def call(traces: Traces, environment: dict[str, str], *flags: str, code: int) -> None:
    command = [sys.executable, str(PROJECT / "pipelines" / "qtickets.py"), *flags]
    over = threading.Event()
    watching = threading.Thread(target=watch_processes, args=(traces.processes, over))
    watching.start()
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=traces.home.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
    finally:
        over.set()
        watching.join()
    assert done.returncode == code, done.stderr[-2000:]
    traces.output["output of " + " ".join(flags)] = done.stdout + done.stderr


def watch_processes(seen: set[str], over: threading.Event) -> None:
    """Collect the command lines of all processes, which every user of the machine can read."""
    while not over.wait(0.1):
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="ignore"))
            except OSError:
                continue


def read_files(traces: Traces, when: str) -> None:
    for path in traces.home.rglob("*"):
        if not path.is_file() or path.name in SECRETS_OF_ITS_OWN:
            continue
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        text = content.decode(errors="ignore")
        if path.suffix == ".parquet":
            text += json.dumps(
                pyarrow.parquet.read_table(path).to_pylist(), ensure_ascii=False, default=str
            )
        name = str(path.relative_to(traces.home))
        if text != traces.files.get(f"after a good run: {name}"):
            traces.files[f"{when}: {name}"] = text


def read_tables(traces: Traces, server: LocalServer) -> None:
    """Read every row of every table, including the query log of the server."""
    tables = query(
        server,
        "transformer",
        "SELECT database, name FROM system.tables"
        " WHERE startsWith(database, 'zakaz') OR name = 'query_log'",
    )
    for database, name in ((row["database"], row["name"]) for row in tables):
        rows = query(server, "transformer", f"SELECT * FROM {database}.`{name}`")
        text = "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)
        if name == "_dlt_pipeline_state":
            text += "".join(repr(decompress_state(row["state"])) for row in rows)
        traces.tables[f"{database}.{name}"] = text


def test_every_kind_of_output_is_searched(traces: Traces) -> None:
    """Check that the search finds known words, so that a secret would be found too."""
    event = str(traces.world.events()[0]["name"])

    assert event in traces.tables["zakaz.dim_events"]
    assert event in traces.tables["zakaz_raw.events"]
    assert "cursor_from" in traces.tables["zakaz_raw._dlt_pipeline_state"]
    assert "meta_job_runs" in traces.tables["system.query_log"]
    assert "QTickets" in traces.tables["zakaz.meta_job_runs"], "the failed run is recorded"
    assert len(traces.tables["zakaz_raw.clients"].splitlines()) > 50
    for ending, word in (
        (".parquet", event),
        ("dbt.log", "zakaz"),
        ("trace.pickle", "qtickets"),
        ("dashboard.html", "<html"),
    ):
        assert any(name.endswith(ending) and word in text for name, text in traces.files.items())
    assert any("_dlt_pipeline_state" in name and ".gz" in name for name in traces.files)
    assert any("pipelines/qtickets.py -v --json-logs" in line for line in traces.processes)
    assert any("server_process.py" in line for line in traces.processes)
    assert '"level": "DEBUG"' in traces.output["output of -v --json-logs"]
    assert "Traceback" in traces.output["output of -v"]


def test_no_secret_is_written_or_shown(traces: Traces) -> None:
    secrets = traces.secrets

    assert min(len(secret) for secret in secrets.values()) > 20
    for where, text in traces.everything.items():
        found = [name for name, secret in secrets.items() if secret in text]
        assert not found, f"{found} in {where}"


def found_in(text: str, words: list[str], folder: Path) -> set[str]:
    """Return the words that are in the text. grep searches for thousands of them at once."""
    (folder / "words").write_text("\n".join(words))
    (folder / "text").write_text(text, errors="surrogatepass")
    looked = subprocess.run(
        ["grep", "--text", "--fixed-strings", "--only-matching", "--file=words", "text"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert looked.returncode in (0, 1), looked.stderr
    return set(looked.stdout.decode().splitlines())


def test_no_personal_data_of_buyers_is_written_or_shown(traces: Traces, tmp_path: Path) -> None:
    people = [text for text in traces.world.personal_data(100_000) if len(text) >= 6]
    event = str(traces.world.events()[0]["name"])
    everything = "\n".join(traces.everything.values())

    found = found_in(everything, people, tmp_path)

    assert len(people) > 1000
    assert not found, {
        person: [where for where, text in traces.everything.items() if person in text]
        for person in sorted(found)[:3]
    }
    assert found_in(everything, [event], tmp_path) == {event}


def test_only_the_user_of_a_run_can_read_its_files(traces: Traces) -> None:
    reached = list(traces.home.iterdir())
    for path in reached:
        # Files in a folder without access for others are not accessible to them either.
        assert not path.stat().st_mode & 0o077, f"{path.stat().st_mode:o} {path}"
    assert len(reached) > 4
    assert not (traces.home.parent / "user").exists(), "a run wrote into the home of the user"
