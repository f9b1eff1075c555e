"""The users of the project and their grants, on the local ClickHouse and on other servers."""

import re
from collections.abc import Iterable

from local_clickhouse.errors import LocalClickHouseError

USERS = ("loader", "transformer", "reader", "backup")

# The process of the local server logs in as `default`, to open the listeners and to wait.
DEFAULT_GRANTS = ("SYSTEM LISTEN ON *.*", "CREATE TEMPORARY TABLE ON *.*")

BUILD = (
    "SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, "
    "DROP VIEW, TRUNCATE, OPTIMIZE, SHOW, dictGet"
)

SCHEMA = ("SELECT ON INFORMATION_SCHEMA.*", "SELECT ON information_schema.*")

# Not `TABLE ENGINE ON *`: with it, a table with the engine File or SQLite could read any file.
MERGE_TREES = ("", "Replacing", "Summing", "Aggregating", "Collapsing", "VersionedCollapsing")
ENGINES = [f"TABLE ENGINE ON {kind}MergeTree" for kind in MERGE_TREES] + [
    "TABLE ENGINE ON Memory",
    "TABLE ENGINE ON Null",
]

# What users of BI tools read. Not the staging views, which have whole answers of the service, nor
# the intermediate tables. ClickHouse reads `fact_*` as every name that begins with `fact_`.
PUBLIC = ("dim_*", "fact_*", "v_*", "mv_*", "plan_sales", "meta_job_runs", "quarantined_orders")
# The views of public data read these with the rights of their reader.
READ_BY_VIEWS = ("int_qtickets_loaded",)


def grants(user: str, databases: Iterable[str]) -> list[str]:
    """Return the grants of `user` on each of `databases`, as in `GRANT … TO`.

    No user gets a source (FILE, URL, S3, …), or CREATE DICTIONARY, whose sources are not checked.
    """
    if user == "loader":
        return [
            *(f"{BUILD} ON `{name}_raw`.*" for name in databases),
            *ENGINES,
            "CREATE TEMPORARY TABLE ON *.*",
            *SCHEMA,
        ]
    if user == "transformer":
        return [
            *(f"{BUILD} ON `{name}`.*" for name in databases),
            # dbt stores the rows that fail a test here, with `store_failures`.
            *(f"{BUILD} ON `{name}_dbt_test__audit`.*" for name in databases),
            *(f"SELECT, SHOW ON `{name}_raw`.*" for name in databases),
            *ENGINES,
            "CREATE TEMPORARY TABLE ON *.*",
            "SELECT ON system.*",
        ]
    if user == "backup":
        # It reads everything, and restores into new tables: it cannot drop or overwrite any.
        return [
            *(
                f"SELECT, SHOW, BACKUP, CREATE TABLE, INSERT ON `{name}`.*"
                for database in databases
                for name in (database, f"{database}_raw")
            ),
            *ENGINES,
            "READ, WRITE ON DISK",
            "SELECT ON system.*",
        ]
    return [
        *(
            f"SELECT ON `{name}`.{table}"
            for name in databases
            for table in (*PUBLIC, *READ_BY_VIEWS)
        ),
        *SCHEMA,
    ]


def check_database_name(name: str) -> None:
    """Reject a name whose grants would include another database.

    Raises:
        LocalClickHouseError: The name is not an identifier, or the server or dbt uses it.
    """
    reserved = {"default", "system", "information_schema"}
    if (
        not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        or name.lower() in reserved
        or name.endswith(("_raw", "_dbt_test__audit"))
    ):
        raise LocalClickHouseError(
            f"{name!r} cannot be the name of a local database: use letters, digits and _, but not "
            "default, system or information_schema, nor the endings _raw and _dbt_test__audit"
        )
