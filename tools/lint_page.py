"""Lint the scripts of the page with oxlint; run by `make lint`.

The scripts share one scope, so a name that no script defines, or that none uses, shows only in all
of them together. oxlint therefore gets their concatenation; its findings are printed with the file
and line of the script.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dashboard.page import FOLDER, SCRIPTS

PROJECT = FOLDER.parent
CONFIG = FOLDER / "oxlint.json"


def main() -> int:
    """Print the findings and return the exit code of oxlint."""
    oxlint = shutil.which("oxlint", path=str(Path(sys.executable).parent)) or shutil.which("oxlint")
    if not oxlint:
        print("oxlint is not installed. It is among the development requirements.", file=sys.stderr)
        return 1
    lines, origins = ["(() => {"], ["the opening line"]
    for name in SCRIPTS:
        path = FOLDER / "script" / f"{name}.js"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            lines.append(line)
            origins.append(f"{path.relative_to(PROJECT)}:{number}")
    lines += ["})();", ""]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "page.js").write_text("\n".join(lines), encoding="utf-8")
        result = subprocess.run(
            [oxlint, "--config", str(CONFIG), "--format", "unix", "page.js"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    position = re.compile(r"^page\.js:(\d+)", re.M)
    print(position.sub(lambda found: origins[int(found[1]) - 1], result.stdout), end="")
    print(result.stderr, end="", file=sys.stderr)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
