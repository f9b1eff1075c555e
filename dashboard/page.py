"""One HTML file of the template, the styles, the scripts, the chart library and the data."""

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

from clickhouse_connect.driver.client import Client

from .data import as_json, read_page_data
from .errors import DashboardError
from .options import PageOptions

FOLDER = Path(__file__).resolve().parent
SCRIPTS = """
    texts measures days format data preferences state charts
    components/element components/panel components/table components/indicators components/ranking
    sections/header sections/alerts sections/live sections/filters sections/totals
    sections/sales_by_day sections/cities sections/sources sections/events sections/pace
    sections/plan sections/promos sections/refunds sections/attendance sections/no_sales
    sections/footer
    page refresh start
""".split()
"""They share one scope, and are concatenated in this order: `start` runs what the others define."""


def write_dashboard(client: Client, options: PageOptions, path: Path) -> None:
    """Read the marts and replace the file at `path` atomically.

    Raises:
        DashboardError: The marts were never built, or the file cannot be written.
        ClickHouseError: The driver's error, if a query fails.
    """
    page = render(read_page_data(client, options))
    try:
        _replace(path, page)
    except OSError as error:
        raise DashboardError(
            f"The dashboard {path} cannot be written: {error.strerror}."
        ) from error


def render(data: dict[str, Any], *, served: bool = False) -> str:
    """Return the page as HTML.

    Texts of the service are in the packed data only, except the title, which is escaped.

    Args:
        data: The data of the page.
        served: Whether the page may ask its own server for newer data.
    """
    script = _script()
    parts = {
        "policy": content_policy(served=served),
        "title": html.escape(data["about"]["organiser"] or "Продажи билетов"),
        "style": _read("vendor/uPlot.min.css") + _read("style.css"),
        "script": script,
        # Without the timestamp of gzip, equal data make equal bytes.
        "data": base64.b64encode(gzip.compress(as_json(data), 4, mtime=0)).decode(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _read("template.html"))


def content_policy(*, served: bool = False) -> str:
    """Return the Content-Security-Policy: one inline script, and no request but to the server."""
    digest = base64.b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
        " img-src data:; base-uri 'none'; form-action 'none'"
        + ("; connect-src 'self'" if served else "")
    )


@cache
def _script() -> str:
    scripts = "".join(_read(f"script/{name}.js") for name in SCRIPTS)
    return f'{_read("vendor/uPlot.iife.min.js")}\n(() => {{\n"use strict";\n{scripts}}})();\n'


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _replace(path: Path, text: str) -> None:
    """Write to a temporary file and rename it, so that no reader sees half a page."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".dashboard-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
