"""Users, roles, grants, profiles and quotas of a ClickHouse server, as SQL or as `users.d`.

What the loader, dbt and BI may do is told once, in `local_clickhouse/grants.py`, where every
test of the project runs under it. This writes the same for a server of one's own:

    python deploy/clickhouse_users.py sql > deploy/clickhouse/users.sql
    python deploy/clickhouse_users.py xml > deploy/clickhouse/users.d/qtickets.xml
    python deploy/clickhouse_users.py cluster > deploy/clickhouse/cluster.sql

These files name no passwords: nobody can log in with the hash that stands in them. With `--secrets`
passwords are made, kept in files of mode 600, and their hashes written instead:

    python deploy/clickhouse_users.py sql --secrets /etc/qtickets/secrets | clickhouse-client

Needs Python 3.11 and nothing else.
"""

import argparse
import hashlib
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from local_clickhouse.errors import LocalClickHouseError
from local_clickhouse.grants import check_database_name, grants

PREFIX = "qtickets_"
USERS = {
    "loader": "clickhouse_password",
    "transformer": "clickhouse_transform_password",
    "reader": "clickhouse_reader_password",
    "backup": "clickhouse_backup_password",
}
"""Users, and the file that each password is kept in."""

NO_PASSWORD = "0" * 64
"""No password has this hash."""

GB = 1_000_000_000

# A setting with a limit cannot be raised by the user. `readonly` 2 and not 1: BI tools send
# settings with their queries. What dbt needs at a million orders is 0.8 GB, 1.7 GB the first time.
PROFILES: Mapping[str, Mapping[str, tuple[int, bool]]] = {
    "loader": {
        "max_memory_usage": (4 * GB, False),
        "max_execution_time": (3600, False),
    },
    "transformer": {
        "max_memory_usage": (6 * GB, False),
        "max_bytes_before_external_group_by": (3 * GB, False),
        "max_execution_time": (3600, False),
    },
    "reader": {
        "readonly": (2, True),
        "max_memory_usage": (2 * GB, True),
        "max_execution_time": (60, True),
        "max_concurrent_queries_for_user": (20, True),
        "max_result_bytes": (1 * GB, True),
    },
    "backup": {"max_execution_time": (0, False)},
}
"""Setting: value, and whether the user may not go above it."""

READER_QUOTA = {"queries": 20_000, "execution_time": 7_200}
"""In an hour: a dashboard of ten charts, opened by a hundred people, is a thousand queries."""


def cluster_grants(user: str, database: str) -> list[str]:
    """What a user needs on a replicated cluster besides."""
    engines = [f"TABLE ENGINE ON Replicated{family}MergeTree" for family in ("", "Replacing")]
    if user in ("loader", "backup"):
        return ["CLUSTER ON *.*", *engines]
    if user == "transformer":
        # dbt looks for its tables on every replica, and waits for them before it exchanges one.
        return [
            "CLUSTER ON *.*",
            "REMOTE ON *.*",
            f"SYSTEM SYNC REPLICA ON `{database}`.*",
            *engines,
        ]
    return []


def sql(database: str, hashes: Mapping[str, str]) -> Iterator[str]:
    """Lines that make everything, or bring what is there up to date: they may be run again."""
    yield f"-- Users of the databases `{database}` and `{database}_raw`. Written by"
    yield "-- deploy/clickhouse_users.py. Run as an administrator, again after every upgrade."
    if not hashes:
        yield "-- A new user's hash of zeros lets nobody in: passwords are made with --secrets."
    for user in USERS:
        name, role = f"{PREFIX}{user}", f"{PREFIX}{user}_role"
        yield ""
        yield f"CREATE ROLE IF NOT EXISTS {role};"
        for grant in grants(user, [database]):
            yield f"GRANT {grant} TO {role};"
        settings = ", ".join(
            f"{setting} = {value}" + (f" MAX {value}" if fixed and setting != "readonly" else "")
            for setting, (value, fixed) in PROFILES[user].items()
        )
        yield f"CREATE SETTINGS PROFILE OR REPLACE {name} SETTINGS {settings};"
        known = f"IDENTIFIED WITH sha256_hash BY '{hashes.get(user, NO_PASSWORD)}'"
        yield f"CREATE USER IF NOT EXISTS {name} {known};"
        # A password that is there stays, unless another one is given.
        yield f"ALTER USER {name} {f'{known} ' if hashes else ''}SETTINGS PROFILE '{name}';"
        yield f"GRANT {role} TO {name};"
        yield f"SET DEFAULT ROLE {role} TO {name};"
    limits = ", ".join(f"{what} = {limit}" for what, limit in READER_QUOTA.items())
    yield ""
    yield (
        f"CREATE QUOTA OR REPLACE {PREFIX}reader KEYED BY user_name FOR INTERVAL 1 hour"
        f" MAX {limits} TO {PREFIX}reader;"
    )


def cluster_sql(database: str) -> Iterator[str]:
    """Lines that grant what a cluster needs besides, after `sql`."""
    yield "-- On a replicated cluster (CLICKHOUSE_CLUSTER), after users.sql, on every replica."
    for user in USERS:
        for grant in cluster_grants(user, database):
            yield f"GRANT {grant} TO {PREFIX}{user}_role;"


def xml(database: str, hashes: Mapping[str, str]) -> Iterator[str]:
    """Lines of a file for `/etc/clickhouse-server/users.d/`."""
    yield "<!-- Written by deploy/clickhouse_users.py. A hash of zeros lets nobody in: make"
    yield "     passwords with its option for secrets. -->"
    yield "<clickhouse>"
    yield "    <profiles>"
    for user, settings in PROFILES.items():
        yield f"        <{PREFIX}{user}>"
        for setting, (value, _) in settings.items():
            yield f"            <{setting}>{value}</{setting}>"
        limited = [s for s, (_, fixed) in settings.items() if fixed and s != "readonly"]
        if limited:
            yield "            <constraints>"
            for setting in limited:
                most = f"<max>{settings[setting][0]}</max>"
                yield f"                <{setting}>{most}</{setting}>"
            yield "            </constraints>"
        yield f"        </{PREFIX}{user}>"
    yield "    </profiles>"
    yield "    <quotas>"
    yield f"        <{PREFIX}reader>"
    yield "            <interval>"
    yield "                <duration>3600</duration>"
    for what, limit in READER_QUOTA.items():
        yield f"                <{what}>{limit}</{what}>"
    yield "            </interval>"
    yield f"        </{PREFIX}reader>"
    yield "    </quotas>"
    yield "    <users>"
    for user in USERS:
        name = f"{PREFIX}{user}"
        yield f"        <{name}>"
        known = hashes.get(user, NO_PASSWORD)
        yield f"            <password_sha256_hex>{known}</password_sha256_hex>"
        yield "            <networks><ip>::/0</ip></networks>"
        yield f"            <profile>{name}</profile>"
        yield f"            <quota>{name if user == 'reader' else 'default'}</quota>"
        yield "            <grants>"
        for grant in grants(user, [database]):
            yield f"                <query>{escape(f'GRANT {grant}')}</query>"
        yield "            </grants>"
        yield f"        </{name}>"
    yield "    </users>"
    yield "</clickhouse>"


def kept_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the users' passwords, which are made where their files are missing or empty.

    The salt of buyer hashes is made as well: it belongs to the same moment, and must never change.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = {name: _kept(folder / file) for name, file in USERS.items()}
    _kept(folder / "qtickets_pii_salt")
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in made.items()}


def _kept(path: Path) -> str:
    if path.exists() and (text := path.read_text().strip()):
        return text
    text = secrets.token_hex(24)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text + "\n")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("form", choices=("sql", "xml", "cluster"))
    parser.add_argument("--database", default="zakaz", help="CLICKHOUSE_DB (default: zakaz)")
    parser.add_argument("--secrets", type=Path, help="folder of the password files")
    options = parser.parse_args()
    try:
        check_database_name(options.database)
        hashes = kept_hashes(options.secrets) if options.secrets else {}
    except (LocalClickHouseError, OSError) as error:
        print(f"error: {re.sub('local ', '', str(error))}", file=sys.stderr)
        return 2
    lines = {
        "sql": lambda: sql(options.database, hashes),
        "xml": lambda: xml(options.database, hashes),
        "cluster": lambda: cluster_sql(options.database),
    }
    print("\n".join(lines[options.form]()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
