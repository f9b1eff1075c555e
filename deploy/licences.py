"""Licences of all packages that requirements.txt names, as docs/licences.md: `make licences`.

Each is what the package says of itself: its licence expression, else its classifiers, else its
`License` field, else the first line of its LICENSE file. Packages for other systems than this one
keep what the list of before says.
"""

import re
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent

HEAD = """\
# Licences

Licences of the packages in `requirements.txt`, as their metadata declares them. `make licences`
writes this file. *Server*: the package is also in `deploy/requirements.txt`, so every installation
has it; the others are for the demo, the embedded ClickHouse, tests and linters. The project itself
is Apache-2.0.

| package | licence | server |
| --- | --- | --- |
"""


def names(path: Path) -> list[str]:
    """Packages that a file of pins names, in its order."""
    return re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==", path.read_text(), re.M)


def licence(package: str) -> str | None:
    """What an installed package says; None if it is not installed."""
    try:
        said = metadata(package)
    except PackageNotFoundError:
        return None
    classifiers = [
        line.rpartition(" :: ")[2].removesuffix(" License")
        for line in said.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    text = str(said["License"] or "").strip().splitlines()
    files = [file for file in distribution(package).files or () if file.stem == "LICENSE"]
    first_line = files[0].read_text().strip().splitlines()[0] if files else "unknown"
    named = said["License-Expression"] or " or ".join(classifiers)
    return named or (text or [first_line])[0]


def known(document: Path) -> dict[str, str]:
    """Licences that a document of before lists."""
    rows = re.findall(r"^\| (\S+) \| (.+?) \| ", document.read_text(), re.M)
    return dict(rows)


def main() -> None:
    document = PROJECT / "docs" / "licences.md"
    before = known(document) if document.exists() else {}
    server = set(names(PROJECT / "deploy" / "requirements.txt"))
    rows = []
    for name in sorted(set(names(PROJECT / "requirements.txt"))):
        found = licence(name) or before.get(name, "for another system than this one")
        rows.append(f"| {name} | {found} | {'yes' if name in server else ''} |")
    document.write_text(HEAD + "\n".join(rows) + "\n")
    print(f"{len(rows)} packages in {document.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
