"""The logins of a local ClickHouse, with passwords made once and kept."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_clickhouse.errors import LocalClickHouseError

USERS = ("loader", "transformer", "reader", "backup")


@dataclass(frozen=True)
class Login:
    """A user of the server; the password stays out of `repr`, so out of logs and tracebacks."""

    user: str
    password: str = field(repr=False)


def kept_logins(path: Path) -> Mapping[str, Login]:
    """Read the logins from `path`, making them on first use in a file only its owner can read.

    Raises:
        LocalClickHouseError: the file exists but is damaged.
        OSError: it cannot be read or written.
    """
    try:
        passwords = json.loads(path.read_text()) if path.exists() else {}
        # A file of an earlier version lacks the users that came since.
        if missing := [user for user in USERS if user not in passwords]:
            passwords |= {user: secrets.token_hex(24) for user in missing}
            write_private(path, json.dumps(passwords, indent=2) + "\n")
        return {user: Login(user, str(passwords[user])) for user in USERS}
    except (ValueError, KeyError, TypeError) as error:
        raise LocalClickHouseError(
            f"the passwords of the local ClickHouse in {path} are damaged: "
            "delete that file, the next start makes new ones"
        ) from error


def write_private(path: Path, text: str) -> None:
    """Write `path` whole or not at all, readable by its owner only from its first moment."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        # Without it a power cut can leave an empty file under the final name.
        os.fsync(file.fileno())
    draft.replace(path)
