"""Write users, roles, grants, profiles and quotas of a ClickHouse server as SQL or as `users.d`.

The grants of the loader, dbt, BI and backups are defined in `local_clickhouse/grants.py` only, and
all tests of the project run under them. This script writes the same grants for a server:

    python deploy/clickhouse_users.py sql > deploy/clickhouse/users.sql
    python deploy/clickhouse_users.py xml > deploy/clickhouse/users.d/qtickets.xml
    python deploy/clickhouse_users.py cluster > deploy/clickhouse/cluster.sql

These files contain no passwords, but a hash that no password has, so nobody can log in. With
`--secrets` the script creates missing passwords in files of mode 600, and writes their hashes:

    python deploy/clickhouse_users.py sql --secrets /etc/qtickets/secrets | clickhouse-client

It needs Python 3.11 and no other packages.
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
"""Users, and the name of the file with each password."""

NO_PASSWORD = "0" * 64
"""No password has this hash."""

GB = 1_000_000_000

# A user cannot raise a limited setting. `readonly` is 2 and not 1 because BI tools send settings
# with their queries. At a million orders dbt needs 0.8 GB, and 1.7 GB for the first build.
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
"""Value of each setting, and whether it is a limit that the user cannot raise."""

READER_QUOTA = {"queries": 20_000, "execution_time": 7_200}
"""Limits for an hour. A dashboard of ten charts that is opened 100 times sends 1,000 queries."""


def cluster_grants(user: str, database: str) -> list[str]:
    """Return the additional grants of a user on a replicated cluster."""
    engines = [f"TABLE ENGINE ON Replicated{family}MergeTree" for family in ("", "Replacing")]
    if user in ("loader", "backup"):
        return ["CLUSTER ON *.*", *engines]
    if user == "transformer":
        # dbt looks up its tables on every replica, and waits for all replicas before an exchange.
        return [
            "CLUSTER ON *.*",
            "REMOTE ON *.*",
            f"SYSTEM SYNC REPLICA ON `{database}`.*",
            *engines,
        ]
    return []


def sql(database: str, hashes: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a script that creates the users or updates them; it can be run again."""
    yield f"-- Users of the databases `{database}` and `{database}_raw`. Written by"
    yield "-- deploy/clickhouse_users.py. Run as an administrator, again after every upgrade."
    if not hashes:
        yield "-- New users get a hash that no password has. Use --secrets to create passwords."
    for user in USERS:
        name, role = f"{PREFIX}{user}", f"{PREFIX}{user}_role"
        yield ""
        yield f"CREATE ROLE IF NOT EXISTS {role};"
        if user == "reader":
            # Earlier versions granted all tables.
            yield f"REVOKE SELECT, SHOW, dictGet ON `{database}`.* FROM {role};"
        for grant in grants(user, [database]):
            yield f"GRANT {grant} TO {role};"
        settings = ", ".join(
            f"{setting} = {value}" + (f" MAX {value}" if fixed and setting != "readonly" else "")
            for setting, (value, fixed) in PROFILES[user].items()
        )
        yield f"CREATE SETTINGS PROFILE OR REPLACE {name} SETTINGS {settings};"
        identified = f"IDENTIFIED WITH sha256_hash BY '{hashes.get(user, NO_PASSWORD)}'"
        yield f"CREATE USER IF NOT EXISTS {name} {identified};"
        # Without --secrets an existing user keeps its password.
        yield f"ALTER USER {name} {f'{identified} ' if hashes else ''}SETTINGS PROFILE '{name}';"
        yield f"GRANT {role} TO {name};"
        yield f"SET DEFAULT ROLE {role} TO {name};"
    limits = ", ".join(f"{resource} = {limit}" for resource, limit in READER_QUOTA.items())
    yield ""
    yield (
        f"CREATE QUOTA OR REPLACE {PREFIX}reader KEYED BY user_name FOR INTERVAL 1 hour"
        f" MAX {limits} TO {PREFIX}reader;"
    )


def cluster_sql(database: str) -> Iterator[str]:
    """Yield the lines with the additional grants of a cluster, to run after those of `sql`."""
    yield "-- On a replicated cluster (CLICKHOUSE_CLUSTER), after users.sql, on every replica."
    for user in USERS:
        for grant in cluster_grants(user, database):
            yield f"GRANT {grant} TO {PREFIX}{user}_role;"


def xml(database: str, hashes: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a file for `/etc/clickhouse-server/users.d/`."""
    yield "<!-- Written by deploy/clickhouse_users.py. The users get a hash that no password has."
    yield "     Use the option `secrets` to create passwords. -->"
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
    for resource, limit in READER_QUOTA.items():
        yield f"                <{resource}>{limit}</{resource}>"
    yield "            </interval>"
    yield f"        </{PREFIX}reader>"
    yield "    </quotas>"
    yield "    <users>"
    for user in USERS:
        name = f"{PREFIX}{user}"
        yield f"        <{name}>"
        password_hash = hashes.get(user, NO_PASSWORD)
        yield f"            <password_sha256_hex>{password_hash}</password_sha256_hex>"
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


def password_hashes(folder: Path) -> dict[str, str]:
    """Return SHA-256 hashes of the users' passwords; create those whose file is missing or empty.

    This also creates the salt of buyer hashes, which is needed at the same time and must never
    change.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = {name: _read_or_create(folder / file) for name, file in USERS.items()}
    _read_or_create(folder / "qtickets_pii_salt")
    for name in ("qtickets_webhook_secret", "qtickets_page_token"):
        _read_or_create(folder / name)
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in passwords.items()}


def _read_or_create(path: Path) -> str:
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
    parser.add_argument(
        "--secrets", type=Path, help="folder of the password files; missing ones are created"
    )
    options = parser.parse_args()
    try:
        check_database_name(options.database)
        hashes = password_hashes(options.secrets) if options.secrets else {}
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
