"""What identifies a state of the dbt project, and the folder in which dbt keeps its parsed form."""

import shutil
from hashlib import sha256
from pathlib import Path

# The release in use and the one before it, to which a rollback returns.
_KEPT = 2
_IGNORED_FOLDERS = {"target", "logs", "dbt_packages", "__pycache__"}


def project_digest(project: Path) -> str:
    """Return a digest of the names and contents of the project's files."""
    digest = sha256()
    for path in sorted(project.rglob("*")):
        if path.is_file() and not _IGNORED_FOLDERS & set(path.relative_to(project).parts):
            digest.update(f"{path.relative_to(project)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def state_folder(home: Path, project: Path) -> Path:
    """Return the folder of dbt's files for this state of the project; remove those of old states.

    dbt's partial parsing assumes that it continues with the same project. After a rollback it
    fails: it parses the tests of one release with the macros of the other.

    Args:
        home: QTICKETS_HOME.
        project: The folder of the dbt project.
    """
    folder = home / "dbt" / "states" / project_digest(project)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    folder.touch()
    states = sorted(folder.parent.iterdir(), key=lambda state: state.stat().st_mtime_ns)
    for old in states[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    # Version 0.1 used one folder for all states.
    shutil.rmtree(home / "dbt" / "target", ignore_errors=True)
    return folder
