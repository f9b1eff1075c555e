"""A headless Chromium for tests and screenshots; `python -m tools.browser` installs one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Error, Playwright, sync_playwright

NAMES = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "microsoft-edge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
HOW = (
    "The tests of the page need a Chromium, and none starts on this machine. Install one. Debian:"
    " sudo apt-get install chromium-headless-shell. Ubuntu, macOS: python -m playwright install"
    " --with-deps chromium-headless-shell. Or set CHROMIUM=/path/to/a/chrome"
)


def _installed() -> list[str | None]:
    """Return paths of browsers in order of preference; None is the download of Playwright."""
    given = os.environ.get("CHROMIUM")
    if given:
        return [given]
    return [path for name in NAMES if (path := shutil.which(name))] + [None]


def _launch(playwright: Playwright) -> Browser:
    for path in _installed():
        try:
            return playwright.chromium.launch(
                executable_path=path,
                chromium_sandbox=False,
                args=["--disable-gpu", "--font-render-hinting=none"],
            )
        except Error:
            continue
    raise FileNotFoundError(HOW)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start a browser for the duration of a block.

    Raises:
        FileNotFoundError: No browser starts; the message says how to install one.
    """
    with sync_playwright() as playwright:
        browser = _launch(playwright)
        try:
            yield browser
        finally:
            browser.close()


def _starts() -> bool:
    try:
        with chromium():
            return True
    except FileNotFoundError:
        return False


def install() -> int:
    """Install a Chromium if none starts: as root Debian's package, else Playwright's download."""
    if _starts():
        return 0
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root and Path("/etc/debian_version").exists():
        print("Installing Chromium for the tests of the page…", flush=True)
        apt = ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0"]
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        # A minimal container has no fonts.
        wanted = ["chromium-headless-shell", "fonts-dejavu-core"]
        for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *wanted]):
            subprocess.run([*apt, *arguments], env=environment, capture_output=True, check=False)
        if _starts():
            return 0
    # Ubuntu's package is a snap, which does not start in containers.
    more = ["--with-deps"] if is_root and sys.platform == "linux" else []
    command = [sys.executable, "-m", "playwright", "install", *more, "chromium-headless-shell"]
    subprocess.run(command, capture_output=True, check=False)
    if _starts():
        return 0
    print(HOW, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(install())
