"""The program: subcommands, options that all of them share, and `DRY_RUN=true`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pipelines.commands.offline import with_cassette
from pipelines.commands.options import one_line_errors
from pipelines.commands.program import COMMANDS
from pipelines.configuration.environment import CASSETTE, Settings
from pipelines.qtickets import app
from pipelines.run_lock import exclusive_run
from pipelines.signals import ended_by_signals, interrupt
from tests.support.paths import PROJECT


def command(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=variables)


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "home")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--env-file", "other.env", "config"),
        ("config", "--env-file", "other.env"),
        ("--env-file=other.env", "--json-logs", "config"),
        ("-v", "config", "--env-file=other.env"),
        ("--env-file", "unused.env", "config", "--env-file", "other.env"),
    ],
    ids=" ".join,
)
def test_options_of_every_command_stand_before_or_after_its_name(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "other.env").write_text("ORG_NAME=Theatre\n")
    (tmp_path / "unused.env").write_text("ORG_NAME=Circus\n")

    result = command(*arguments)

    assert result.exit_code == 0, result.output
    assert "Theatre  (other.env)" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [("-q", "config", "-v"), ("-qv",), ("--quiet", "--verbose", "check"), ("check", "-vq")],
    ids=" ".join,
)
def test_quiet_and_verbose_exclude_each_other_wherever_they_stand(
    arguments: tuple[str, ...],
) -> None:
    result = command(*arguments)

    assert result.exit_code == 2
    assert "--quiet, --verbose: one at a time." in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--resources", "unicorns"),
        ("-q", "--resources", "unicorns"),
        ("--env-file", "of.env"),
        ("run",),
        ("--json-logs", "run"),
    ],
    ids=lambda arguments: " ".join(arguments) or "none",
)
def test_without_a_command_it_is_run_with_its_options(
    tmp_path: Path, arguments: tuple[str, ...], home: str
) -> None:
    (tmp_path / "of.env").write_text("QTICKETS_RESOURCES=unicorns\n")

    result = command(*arguments, QTICKETS_HOME=home, QTICKETS_RESOURCES="unicorns")

    assert result.exit_code == 2
    assert "not unicorns" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("chek",), "Did you mean 'check'?"),
        (("--bootstrap",), "No such option: --bootstrap"),
        (("run", "recording.yaml"), "unexpected extra argument"),
        (("backup", "--replace"), "No such option: --replace"),
        (("restore",), "Missing argument 'NAME'"),
        (("--env-file",), "Option '--env-file' requires an argument"),
    ],
)
def test_arguments_that_do_not_exist_are_named(arguments: tuple[str, ...], words: str) -> None:
    result = command(*arguments)

    assert result.exit_code == 2
    assert words in result.stderr


def test_offline_takes_a_path_or_none() -> None:
    default = str(CASSETTE)

    assert with_cassette(["--offline"]) == ["--offline", default]
    assert with_cassette(["--offline", "--dry-run"]) == ["--offline", default, "--dry-run"]
    assert with_cassette(["--dry-run", "--offline", "a.yaml"]) == [
        *("--dry-run", "--offline", "a.yaml")
    ]
    assert with_cassette(["--offline=a.yaml"]) == ["--offline=a.yaml"]
    assert with_cassette(["--dry-run"]) == ["--dry-run"]


WRITING = [
    ("backfill", "--since", "2026-01-01"),
    ("backup",),
    ("bootstrap",),
    ("compact",),
    ("dashboard",),
    ("docs",),
    ("drop-demo",),
    ("move",),
    ("reconcile",),
    ("restore", "a-backup", "--replace"),
    ("run", "--full-refresh"),
    ("serve",),
]


@pytest.mark.parametrize("arguments", WRITING, ids=" ".join)
def test_a_dry_run_by_the_environment_refuses_other_commands_that_write(
    tmp_path: Path, arguments: tuple[str, ...], home: str
) -> None:
    result = command(*arguments, DRY_RUN="true", QTICKETS_HOME=home)

    assert result.exit_code == 2
    assert "DRY_RUN=true" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_command_is_known_to_write_or_not() -> None:
    reading = {"run", "check", "config", "probe", "verify"}
    writing = {arguments[0] for arguments in WRITING}

    assert reading | writing == {each.name for panel in COMMANDS.values() for each in panel}


def test_help_begins_with_five_commands_and_imports_little() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", PROJECT / "pipelines" / "qtickets.py", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    first, second, *_ = COMMANDS
    panel = result.stdout[result.stdout.index(first) : result.stdout.index(second)]
    for name in ("probe", "run", "check", "backfill", "dashboard"):
        assert f" {name} " in panel
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "typer" in imported
    assert not {"dlt", "dbt", "pyarrow", "clickhouse_connect", "pydantic_settings"} & imported


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_a_signal_while_modules_are_imported_ends_the_command_quietly(
    tmp_path: Path, number: int
) -> None:
    (tmp_path / "typer.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, PROJECT / "pipelines" / "qtickets.py", "config"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "importing\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (130, "")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "/var/lib/qtickets/x"), "/var/lib/qtickets/x:"),
        (OSError(30, "Read-only file system", "/mnt/home"), "/mnt/home: Read-only file system"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as exited, one_line_errors(verbose=False):
        raise error

    assert exited.value.exit_code == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert "Traceback" not in printed


def test_without_memory_the_line_is_printed_and_the_exit_code_survives() -> None:
    """The process ends at once, because the interpreter may crash while it cleans up."""
    script = (
        "from pipelines.commands.options import one_line_errors\n"
        "with one_line_errors(verbose=False):\n    raise MemoryError"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "not enough memory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kilobytes", "exit_code", "words"),
    [
        (300_000, 2, "There is not enough memory. Allow the command more (ulimit -v"),
        (1_500_000, 4, "needs 4 GB of virtual memory, most of which it only reserves"),
    ],
)
def test_a_limit_of_virtual_memory_is_named_in_one_line(
    tmp_path: Path, kilobytes: int, exit_code: int, words: str
) -> None:
    command = f"ulimit -v {kilobytes}; {sys.executable} pipelines/qtickets.py run --offline"

    done = subprocess.run(
        ["bash", "-c", command],
        cwd=PROJECT,
        env=os.environ | {"QTICKETS_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == exit_code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "clickhouse" / "address.tsv").exists()


def test_other_errors_of_connections_stay_bugs() -> None:
    with pytest.raises(ConnectionError), one_line_errors(verbose=False):
        raise ConnectionError("not of the system")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_a_signal_is_handled_inside_the_block_only(number: signal.Signals) -> None:
    before, stopped = signal.getsignal(number), []

    with ended_by_signals(lambda: stopped.append(number)):
        os.kill(os.getpid(), number)
        assert stopped == [number]

    assert signal.getsignal(number) is before


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals(interrupt):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_within_a_run_is_not_blamed_on_its_lock(home: str) -> None:
    settings = Settings(qtickets_home=Path(home))

    with pytest.raises(PermissionError), exclusive_run(settings):
        raise PermissionError(13, "Permission denied", "/elsewhere")
    with exclusive_run(settings):
        pass
