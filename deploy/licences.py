"""Write docs/licences.md with the licences of all packages in requirements.txt: `make licences`.

A licence is the package's licence expression, else its classifiers, else its `License` field, else
the first line of its LICENSE file. A package for another operating system is not installed here,
and keeps the licence that the existing document lists.
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


def package_names(path: Path) -> list[str]:
    """Return the packages in a requirements file, in its order."""
    return re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*?\])?==", path.read_text(), re.M)


def licence(package: str) -> str | None:
    """Return the licence that a package declares; None if it is not installed."""
    try:
        declared = metadata(package)
    except PackageNotFoundError:
        return None
    classifiers = [
        line.rpartition(" :: ")[2].removesuffix(" License")
        for line in declared.get_all("Classifier") or []
        if line.startswith("License :: ") and not line.endswith("OSI Approved")
    ]
    text = str(declared["License"] or "").strip().splitlines()
    files = [file for file in distribution(package).files or () if file.stem == "LICENSE"]
    first_line = files[0].read_text().strip().splitlines()[0] if files else "unknown"
    named = declared["License-Expression"] or " or ".join(classifiers)
    return named or (text or [first_line])[0]


def listed_licences(document: Path) -> dict[str, str]:
    """Return the licences that an existing document lists, by package."""
    rows = re.findall(r"^\| (\S+) \| (.+?) \| ", document.read_text(), re.M)
    return dict(rows)


def main() -> None:
    document = PROJECT / "docs" / "licences.md"
    existing = listed_licences(document) if document.exists() else {}
    server = set(package_names(PROJECT / "deploy" / "requirements.txt"))
    rows = []
    for name in sorted(set(package_names(PROJECT / "requirements.txt"))):
        found = licence(name) or existing.get(name, "unknown: for another operating system")
        rows.append(f"| {name} | {found} | {'yes' if name in server else ''} |")
    document.write_text(HEAD + "\n".join(rows) + "\n")
    print(f"{len(rows)} packages in {document.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
