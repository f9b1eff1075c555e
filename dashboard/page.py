"""The page: template, styles, scripts, chart library and data put into one file."""

import base64
import contextlib
import gzip
import hashlib
import html
import os
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.configuration.environment import Settings
from pipelines.errors import ConfigurationError
from pipelines.warehouse.server import Warehouse

from .data import as_json, read_account

FOLDER = Path(__file__).resolve().parent
SCRIPTS = ("texts", "format", "account", "charts", "page")
"""In the order in which they need each other."""


def write_dashboard(settings: Settings, warehouse: Warehouse) -> Path:
    """Reads the marts and writes `<QTICKETS_HOME>/dashboard.html`, whole or not at all.

    Returns:
        Where the page is.

    Raises:
        ConfigurationError: The marts were never built, or the file cannot be written.
        ClickHouseError: The server cannot be reached, or refuses to be read.
    """
    account = read_account(settings, warehouse)
    path = settings.qtickets_home / "dashboard.html"
    try:
        _replace(path, render(account))
    except OSError as error:
        raise ConfigurationError(
            f"The dashboard {path} cannot be written: {error.strerror}."
        ) from error
    return path


def render(account: dict[str, Any]) -> str:
    """The page as text.

    Texts of the service reach it inside the packed data only; what is left in the HTML is escaped.
    The policy lets the browser run this one script and load nothing.
    """
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    parts = {
        "policy": f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
        " img-src data:; base-uri 'none'; form-action 'none'",
        "title": html.escape(account["about"]["organiser"] or "Продажи билетов"),
        "style": _read("vendor/uPlot.min.css") + _read("style.css"),
        "script": script,
        # The same data give the same bytes: gzip's own time of day is left out.
        "data": base64.b64encode(gzip.compress(as_json(account), 4, mtime=0)).decode(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _read("template.html"))


@cache
def _script() -> str:
    own = "\n".join(_read(f"script/{name}.js") for name in SCRIPTS)
    return f'{_read("vendor/uPlot.iife.min.js")}\n(() => {{\n"use strict";\n{own}}})();\n'


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _replace(path: Path, text: str) -> None:
    """A reader sees the old page or the new one, never half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".dashboard-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
