"""The output of the command on a terminal and in a log: colours, progress, or neither."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import PROJECT

pytestmark = pytest.mark.slow

OFFLINE = (sys.executable, str(PROJECT / "pipelines" / "qtickets.py"), "--offline")
ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;\d+)*m")


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "QTICKETS_HOME": str(tmp_path / "home"),
        "TERM": "xterm-256color",
    }


def on_a_terminal(variables: dict[str, str], *flags: str) -> str:
    """Run the command on a terminal, and return its output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*OFFLINE, *flags], stdin=theirs, stdout=theirs, stderr=theirs, env=variables
    )
    os.close(theirs)
    sent = b""
    try:
        while some := os.read(ours, 4096):
            sent += some
    except OSError:  # The process has closed the terminal.
        pass
    os.close(ours)
    assert process.wait(timeout=60) == 0, sent
    return sent.decode()


def test_a_terminal_sees_colours_unless_it_does_not_want_them(variables: dict[str, str]) -> None:
    plain = on_a_terminal(variables | {"NO_COLOR": "1"}, "--dry-run")
    coloured = on_a_terminal(variables, "--dry-run")

    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert "Would load" in coloured
    assert "Would load" in plain


def test_a_terminal_sees_progress_while_it_loads_and_a_summary(variables: dict[str, str]) -> None:
    sent = on_a_terminal(variables, "--skip-marts")

    assert re.search(r"orders +\S* *\d+( of \d+)? rows", re.sub(r"\x1b\[[\d;?]*\w", "", sent))
    assert "new or changed" in sent


def test_a_log_gets_whole_lines_without_colours_progress_or_wrapping(
    variables: dict[str, str],
) -> None:
    # A dry run after a load, whose state dlt has something to say about.
    subprocess.run([*OFFLINE, "--skip-marts"], env=variables, capture_output=True, check=True)
    done = subprocess.run(
        [*OFFLINE, "--dry-run"],
        env=variables | {"COLUMNS": "40"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ESCAPE not in done.stdout + done.stderr
    assert "\r" not in done.stdout
    lines = done.stdout.splitlines()
    assert len(lines[0]) > 40
    assert lines[-2].startswith("Would load") and lines[-2].endswith("requests).")
    (row,) = [line for line in lines if line.startswith("  updated_at, a second later")]
    assert "not found by a window that begins a second later" in row
    assert done.stderr == ""


def test_a_quiet_terminal_is_sent_nothing(variables: dict[str, str]) -> None:
    assert on_a_terminal(variables, "--dry-run", "--quiet") == ""
