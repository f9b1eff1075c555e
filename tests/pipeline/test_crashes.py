"""Runs that fail because of another run, a full disk, ClickHouse, the clock or a signal.

One line on stderr says what happened, the exit code gives the kind of failure, and the next run
repairs the data.
"""

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local_clickhouse import LocalServer, running_server
from local_clickhouse.local_server import wait_for_end
from sandbox import Fault, World, serve
from tests.support.clickhouse import DATABASE, Marts
from tests.support.fork_server import ForkServer, RunLauncher
from tests.support.job_log import check_recorded, unfinished
from tests.support.live_environment import live_environment
from tests.support.loaded_data import check_marts, check_raw, raw_rows
from tests.support.ports import quiet_ports
from tests.support.runs import DASHBOARD_ONLY
from tests.support.worlds import EVENING, happen, small_world, utc_text


@pytest.fixture(scope="module")
def world() -> World:
    return small_world(seed=12)


@pytest.fixture(scope="module")
def service(world: World) -> Iterator[Any]:
    with serve(world) as service:
        yield service


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The QTICKETS_HOME of the server of these tests, which some of them kill."""
    return tmp_path_factory.mktemp("crashes")


@pytest.fixture(scope="module")
def mortal(folder: Path) -> Iterator[LocalServer]:
    """The server. If a test killed it, it is started again at the same address."""
    http_port, native_port = quiet_ports(2)
    with running_server(
        folder, database=DATABASE, http_port=http_port, native_port=native_port
    ) as server:
        yield server


@pytest.fixture(scope="module")
def runs(service: Any, mortal: LocalServer, fork_server: ForkServer, folder: Path) -> RunLauncher:
    """A launcher of runs on the server, after one complete run."""
    environment = live_environment(
        mortal, service.url, folder / "home", report_now=utc_text(EVENING)
    )
    launcher = RunLauncher(environment, folder, fork_server)
    launcher.complete(marts_flags=DASHBOARD_ONLY)
    return launcher


# Two runs at once ---------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["extract", "load"])
def test_of_two_runs_at_once_the_second_exits_and_the_first_is_right(
    phase: str, runs: RunLauncher, mortal: LocalServer, world: World
) -> None:
    happen(world, 1)
    marts = Marts(mortal)
    recorded = f"SELECT count() AS runs FROM {DATABASE}.meta_job_runs"
    before = marts.rows(recorded)[0]["runs"]

    first = runs.start("--skip-marts", at=(phase, 20), signal_number=signal.SIGSTOP)
    assert first.wait() is None
    second = runs.start("--skip-marts")

    assert second.wait() == 75
    assert second.only_error_line.startswith("Failed: Another run is in progress")
    first.signal(signal.SIGCONT)
    assert first.wait() == 0, first.text("stderr")
    check_raw(world, mortal)
    assert marts.rows(recorded)[0]["runs"] == before + 1


# A full disk --------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, free: int) -> Iterator[int]:
    """Put `folder` on a file system with `free` bytes left.

    Yields:
        0, or a limit on the size of files if this user may not mount a file system.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(folder)]
    folder.mkdir()
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        if mounted:
            room = os.statvfs(folder)
            (folder / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - free))
        yield 0 if mounted else max(free // 40, 1)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("free", [0, 40_000, 120_000, 800_000])
def test_a_full_disk_ends_the_run_with_one_line_and_the_next_one_with_space_is_right(
    free: int, runs: RunLauncher, mortal: LocalServer, world: World, tmp_path: Path
) -> None:
    happen(world, 10 + free)
    home = tmp_path / "home"

    with small_disk(home, free) as largest_file:
        full = runs.start(largest_file=largest_file, QTICKETS_HOME=str(home))
        code = full.wait()

    assert code not in (0, 1), full.text("stderr")
    assert "space left" in full.only_error_line or "too large" in full.only_error_line
    runs.complete("--skip-marts", QTICKETS_HOME=str(home))
    check_raw(world, mortal)
    assert unfinished(mortal) == {}


def test_a_home_that_cannot_be_created_is_reported_in_one_line(
    runs: RunLauncher, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")

    run = runs.start(QTICKETS_HOME=str(tmp_path / "file" / "home"))

    assert run.wait() == 2
    assert "QTICKETS_HOME" in run.only_error_line and "cannot be written" in run.only_error_line


# ClickHouse stops ---------------------------------------------------------------------------------


def server_process(server: LocalServer) -> int:
    """Return the id of the server process, found by the path of its folder in its arguments."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(server.folder.path).encode() in arguments:
            return int(path.parent.name)
    raise AssertionError("the server has no process")


@pytest.mark.parametrize("phase, number", [("load", 40), ("marts", 150)])
def test_when_clickhouse_dies_during_a_run_it_says_so_and_the_next_run_is_right(
    phase: str, number: int, runs: RunLauncher, mortal: LocalServer, world: World, folder: Path
) -> None:
    happen(world, 20 + number)

    run = runs.start(at=(phase, number), signal_number=signal.SIGSTOP)
    assert run.wait() is None, run.text("stderr")
    os.kill(server_process(mortal), signal.SIGKILL)
    wait_for_end(mortal)
    run.signal(signal.SIGCONT)

    assert run.wait() == 4, run.text("stderr")[-3000:]
    assert run.only_error_line.startswith("Failed: ")
    assert f"ClickHouse at 127.0.0.1:{mortal.http_port} cannot be reached" in run.only_error_line
    with running_server(folder, database=DATABASE) as again:
        assert (again.http_port, again.native_port) == (mortal.http_port, mortal.native_port)
        killed = unfinished(again)
        assert len(killed) == 1
        if phase == "marts":
            runs.complete(marts_flags=DASHBOARD_ONLY)
            check_marts(world, Marts(again), EVENING)
        else:
            runs.complete("--skip-marts")
        check_raw(world, again)
        check_recorded(again, killed)


# The clock ----------------------------------------------------------------------------------------


def test_a_refund_is_seen_although_the_clock_was_set_back_an_hour_before_the_run(
    runs: RunLauncher, mortal: LocalServer, world: World
) -> None:
    told = "ClickHouse's clock differs from this machine's by -60 min"
    ahead = runs.complete("--skip-marts", clock_ahead=3600)
    assert told in " ".join(ahead.text("stdout").split())
    happen(world, 30)
    assert "ClickHouse's clock" not in runs.complete("--skip-marts").text("stdout")
    check_raw(world, mortal)
    happen(world, 31)
    runs.complete("--skip-marts")
    check_raw(world, mortal)
    happen(world, 32)
    runs.complete("--skip-marts", clock_ahead=3700)
    check_raw(world, mortal)


# The working folder -------------------------------------------------------------------------------


def litter(folder: Path) -> None:
    """Truncate every file or fill it with garbage, as a crash of the machine might."""
    draw = random.Random(1)
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        path.write_bytes(draw.choice([b"", content[: len(content) // 2], draw.randbytes(100)]))


def test_the_working_folder_may_be_missing_old_or_corrupt(
    runs: RunLauncher, mortal: LocalServer, world: World, tmp_path: Path
) -> None:
    home, kept = Path(runs.environment["QTICKETS_HOME"]), tmp_path / "kept"
    shutil.copytree(home, kept)
    happen(world, 39)
    half_way = runs.start(at=("load", 30))
    assert half_way.wait() == -signal.SIGKILL

    happen(world, 40)
    litter(home)
    runs.complete(marts_flags=DASHBOARD_ONLY)
    check_marts(world, Marts(mortal), EVENING)

    happen(world, 41)
    shutil.rmtree(home)
    runs.complete("--skip-marts")
    check_raw(world, mortal)

    happen(world, 42)
    shutil.rmtree(home)
    shutil.copytree(kept, home)
    runs.complete("--skip-marts")
    check_raw(world, mortal)


# Signals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["TERM", "INT", "HUP"]
)
@pytest.mark.parametrize("phase", ["load", "marts"])
def test_a_run_stops_on_a_signal_with_one_line_and_the_next_is_right(
    phase: str, number: int, runs: RunLauncher, mortal: LocalServer, world: World
) -> None:
    happen(world, 50)
    interrupted = (
        f"SELECT count() AS runs FROM {DATABASE}.meta_job_runs"
        " WHERE status = 'error' AND startsWith(message, 'Interrupted')"
    )
    before = Marts(mortal).rows(interrupted)[0]["runs"]

    run = runs.start(at=(phase, 40), signal_number=signal.SIGSTOP)
    assert run.wait() is None, run.text("stderr")
    run.signal(number, signal.SIGCONT)
    told_at = time.monotonic()
    code = run.wait()

    assert time.monotonic() - told_at < 5
    assert code in (128 + number, 130), run.text("stderr")
    assert "nterrupted" in run.only_error_line
    runs.complete("--skip-marts")
    check_raw(world, mortal)
    assert Marts(mortal).rows(interrupted)[0]["runs"] == before + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_run_that_waits_for_the_service_stops_immediately_too(
    number: int, runs: RunLauncher, service: Any, mortal: LocalServer, world: World
) -> None:
    happen(world, 60)
    asked, over = threading.Event(), threading.Event()

    def never_answer(payload: Any) -> Any:
        asked.set()
        over.wait(60)
        return payload

    service.faults.append(Fault("/orders", kind="mutate", change=never_answer))
    try:
        run = runs.start("--skip-marts")
        assert asked.wait(30)
        run.signal(number)
        told_at = time.monotonic()
        code = run.wait()
        took = time.monotonic() - told_at
    finally:
        service.faults.clear()
        over.set()

    assert took < 5
    assert code in (128 + number, 130), run.text("stderr")
    assert "nterrupted" in run.only_error_line
    runs.complete("--skip-marts")
    check_raw(world, mortal)
    assert raw_rows(mortal)["tickets"]
