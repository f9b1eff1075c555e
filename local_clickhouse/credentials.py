"""The logins of a local ClickHouse; passwords are generated once and stored."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local_clickhouse.errors import LocalClickHouseError
from local_clickhouse.grants import USERS


@dataclass(frozen=True)
class Login:
    """A user of the server. `repr` omits the password, so logs and tracebacks do too."""

    user: str
    password: str = field(repr=False)


def load_logins(path: Path) -> Mapping[str, Login]:
    """Return the logins in `path`; on first use, generate them and write the file.

    Raises:
        LocalClickHouseError: The file exists but is damaged.
        OSError: It cannot be read or written.
    """
    try:
        passwords = json.loads(path.read_text()) if path.exists() else {}
        # A file of an earlier version lacks newer users.
        if missing := [user for user in USERS if user not in passwords]:
            passwords |= {user: secrets.token_hex(24) for user in missing}
            write_private_file(path, json.dumps(passwords, indent=2) + "\n")
        return {user: Login(user, str(passwords[user])) for user in USERS}
    except (ValueError, KeyError, TypeError) as error:
        raise LocalClickHouseError(
            f"the file with the passwords of the local ClickHouse, {path}, is damaged: "
            "delete it, and the next start will generate new passwords"
        ) from error


def write_private_file(path: Path, text: str) -> None:
    """Write `path` atomically, with mode 600 from the start."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        # Without fsync, a power failure can leave an empty file under the final name.
        os.fsync(file.fileno())
    draft.replace(path)
