"""Make the screenshots of the page in docs/images, from the demo at a fixed moment.

Run by `make screenshots`. They depend on the installed fonts; install Inter first (Debian:
fonts-inter).
"""

import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.console import Console

from pipelines.configuration.environment import PROJECT, Settings
from pipelines.run import run
from sandbox import demo_world, serve
from tools.browser import chromium

NOW = datetime.fromisoformat("2026-11-20T21:40:00+03:00")
IMAGES = PROJECT / "docs" / "images"
DESKTOP = {"width": 1280, "height": 1130}
SCREENSHOTS: dict[str, dict[str, Any]] = {
    "dashboard": {"viewport": DESKTOP, "device_scale_factor": 1.5, "locale": "ru-RU"},
    "dashboard-en": {"viewport": DESKTOP, "device_scale_factor": 1.5, "locale": "en-GB"},
    "dashboard-dark": {
        "viewport": DESKTOP,
        "device_scale_factor": 1.5,
        "locale": "ru-RU",
        "color_scheme": "dark",
    },
    "dashboard-phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "locale": "ru-RU",
    },
}


def make_page(home: Path) -> Path:
    """Run the pipeline on the demo and return the path of the page."""
    with serve(demo_world(NOW)) as server:
        settings = Settings(
            qtickets_token=SecretStr("sandbox-token"),
            qtickets_base_url=server.url,
            qtickets_home=home,
            qtickets_initial_backfill_hours="all",
            report_now=f"{NOW.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}",
            clickhouse_host=None,
        )
        report = run(settings, Console())
    assert report.page, report.page_problem
    return report.page


def main() -> None:
    """Write all screenshots."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, chromium() as browser:
        address = make_page(Path(home)).as_uri()
        for name, look in SCREENSHOTS.items():
            context = browser.new_context(**look)
            page = context.new_page()
            page.goto(address)
            page.wait_for_selector("main:not([aria-busy])")
            page.wait_for_timeout(300)
            path = IMAGES / f"{name}.png"
            page.screenshot(path=path)
            context.close()
            print(f"{path.relative_to(PROJECT)}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
