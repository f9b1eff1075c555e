"""Files and folders of QTICKETS_HOME that other users must not be able to change.

The rules are those of ssh for its keys: whoever can write a folder can replace what is in it, and a
run deletes files in some folders.
"""

import os
import stat
from pathlib import Path

_KEPT_PRIVATE = ("clickhouse", "pii_salt")
_DELETED_IN = ("dlt", "dbt", "docs")


def private_home(home: Path) -> Path:
    """Return QTICKETS_HOME if no other user can change it; it may not exist yet.

    Raises:
        ValueError: With what is expected, and how to repair it.
    """
    for path in (home, *(home / name for name in _KEPT_PRIVATE)):
        _refuse_if_others_can_write(path)
    for name in _DELETED_IN:
        if _is_link(home / name):
            raise ValueError(
                f"no symbolic link at {home / name}: a run deletes files in this folder. Remove the"
                " link, or set QTICKETS_HOME to the other disk"
            )
    return home


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:
        return False  # Its use will fail with a message of its own.


def _refuse_if_others_can_write(path: Path) -> None:
    try:
        status = path.stat()
    except OSError:
        return  # It does not exist, or its use will fail with a message of its own.
    if os.geteuid() and status.st_uid not in (os.geteuid(), 0):
        raise ValueError(
            f"a folder of this user: {path} belongs to the user with id {status.st_uid}, who could"
            " change what is in it. Run as that user, or choose another folder"
        )
    # Volumes of Kubernetes belong to root and to a group that only the pod has (fsGroup).
    is_volume = status.st_uid == 0 and os.geteuid() != 0
    if status.st_mode & (stat.S_IWOTH if is_volume else stat.S_IWOTH | stat.S_IWGRP):
        raise ValueError(
            f"a folder that only its owner can write: other users can write {path}"
            f" (mode {stat.S_IMODE(status.st_mode):o}). Run: chmod go-w {path}"
        )
