"""The server's `config.xml` and `users.xml`: what it listens on, and who may do what."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from local_clickhouse.credentials import Login
from local_clickhouse.errors import LocalClickHouseError

HOST = "127.0.0.1"

# Everything that makes a stock server ask for a grant is on, so what works here works there.
# A stock server's `keep_alive_timeout`: one so short that a stop never waits for idle clients would
# close connections just as busy clients use them again, which fails their inserts.
# `poll_interval` below bounds how long a stop waits for idle clients of the native protocol.
# `background_merges_mutations_…`: as many at once as on a large machine, in as many threads as this
# one has; with few, a delete waits a tenth of a second for each part of a table.
# Without the `ignore_…` line the profile's `default_normal_view_sql_security` has no effect.
CONFIG = """\
<clickhouse>
    <listen_host>{host}</listen_host>
    <tcp_port>{native_port}</tcp_port>
    <http_port>{http_port}</http_port>
    <users_config>{users}</users_config>
    <timezone>UTC</timezone>
    <keep_alive_timeout>10</keep_alive_timeout>
    <background_merges_mutations_concurrency_ratio>16</background_merges_mutations_concurrency_ratio>
    <max_server_memory_usage_to_ram_ratio>0.8</max_server_memory_usage_to_ram_ratio>
    <access_control_improvements>
        <users_without_row_policies_can_read_rows>true</users_without_row_policies_can_read_rows>
        <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
        <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
        <table_engines_require_grant>true</table_engines_require_grant>
    </access_control_improvements>
    <ignore_empty_sql_security_in_create_view_query>false</ignore_empty_sql_security_in_create_view_query>
    <storage_configuration>
        <disks>
            <backups><type>local</type><path>{backups}/</path></backups>
        </disks>
    </storage_configuration>
    <backups><allowed_disk>backups</allowed_disk></backups>
    <query_log>
        <database>system</database>
        <table>query_log</table>
        <partition_by>event_date</partition_by>
        <ttl>event_date + INTERVAL 7 DAY DELETE</ttl>
    </query_log>
</clickhouse>
"""

# The engine believes it is a command-line tool and lets SQL name any file of whoever runs it. What
# no grant covers is closed here: settings that name files are frozen, `file()` is replaced.
# `default` cannot have a password, because the process itself logs in as `default`; its one session
# is the limit, so nobody else can.
# A plain view runs with the rights of whoever reads it unless told otherwise; then `reader` could
# not read a mart's view over raw tables, and BI would need rights on raw data.
USERS = """\
<clickhouse>
    <profiles>
        <default>
            <implicit_select>0</implicit_select>
            <allow_introspection_functions>0</allow_introspection_functions>
            <storage_file_read_method>pread</storage_file_read_method>
            <poll_interval>1</poll_interval>
            <default_normal_view_sql_security>DEFINER</default_normal_view_sql_security>
            <constraints>
                <format_template_resultset><const/></format_template_resultset>
                <format_template_row><const/></format_template_row>
                <format_schema><const/></format_schema>
                <output_format_schema><const/></output_format_schema>
                <input_format_record_errors_file_path><const/></input_format_record_errors_file_path>
            </constraints>
        </default>
        <internal>
            <max_sessions_for_user>1</max_sessions_for_user>
            <constraints><max_sessions_for_user><const/></max_sessions_for_user></constraints>
        </internal>
    </profiles>
    <quotas><default/></quotas>
    <users>
{users}
    </users>
</clickhouse>
"""

USER = """\
        <{name}>
            {password}
            <networks><ip>{host}</ip></networks>
            <profile>{profile}</profile>
            <quota>default</quota>
            <grants>
{grants}
            </grants>
        </{name}>"""

# Loaded by the server in place of its built-in function; the engine looks for this file name.
FILE_FUNCTION_NAME = "function_file.sql"
FILE_FUNCTION = "CREATE FUNCTION file AS path -> throwIf(1, 'file() is not available here')\n"

# Just enough to open the listeners and to wait.
DEFAULT_GRANTS = ("SYSTEM LISTEN ON *.*", "CREATE TEMPORARY TABLE ON *.*")

BUILD = (
    "SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, "
    "DROP VIEW, TRUNCATE, OPTIMIZE, SHOW, dictGet"
)

SCHEMA = ("SELECT ON INFORMATION_SCHEMA.*", "SELECT ON information_schema.*")

# Not `TABLE ENGINE ON *`: a table of engine File or SQLite needs no other grant to read any file.
FAMILY = ("", "Replacing", "Summing", "Aggregating", "Collapsing", "VersionedCollapsing")
ENGINES = [f"TABLE ENGINE ON {kind}MergeTree" for kind in FAMILY] + [
    "TABLE ENGINE ON Memory",
    "TABLE ENGINE ON Null",
]


def grants(user: str, databases: Iterable[str]) -> list[str]:
    """List what `user` may do with each of `databases`, as the tail of `GRANT` statements.

    Nobody gets a source (FILE, URL, S3, …), or CREATE DICTIONARY, whose sources are not checked.
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
            # Where dbt keeps the rows that failed a test with `store_failures`.
            *(f"{BUILD} ON `{name}_dbt_test__audit`.*" for name in databases),
            *(f"SELECT, SHOW ON `{name}_raw`.*" for name in databases),
            *ENGINES,
            "CREATE TEMPORARY TABLE ON *.*",
            "SELECT ON system.*",
        ]
    if user == "backup":
        # It reads everything and makes what it restores, beside what is there: it drops nothing.
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
        *(f"SELECT, SHOW, dictGet ON `{name}`.*" for name in databases),
        *SCHEMA,
    ]


def check_database_name(name: str) -> None:
    """Refuse a name whose grants would reach into another database.

    Raises:
        LocalClickHouseError: it is not a plain identifier, or is one the server or dbt uses.
    """
    reserved = {"default", "system", "information_schema"}
    if (
        not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        or name.lower() in reserved
        or name.endswith(("_raw", "_dbt_test__audit"))
    ):
        raise LocalClickHouseError(
            f"{name!r} cannot be the name of a local database: use letters, digits and _, none of "
            "default, system, information_schema, and no ending _raw or _dbt_test__audit"
        )


def config_xml(users: Path, backups: Path, http_port: int, native_port: int) -> str:
    """Write the server's settings; port 0 lets the system choose.

    Backups go to a disk of their own: `File(…)` would need the right to any file.
    """
    return CONFIG.format(
        host=HOST,
        users=escape(str(users)),
        backups=escape(str(backups)),
        http_port=http_port,
        native_port=native_port,
    )


def users_xml(logins: Mapping[str, Login], databases: Iterable[str]) -> str:
    """Write who may log in, with hashed passwords and the grants of every database."""
    names = list(databases)
    users = [_user("default", "internal", "<password></password>", DEFAULT_GRANTS)]
    for name, login in logins.items():
        digest = hashlib.sha256(login.password.encode()).hexdigest()
        password = f"<password_sha256_hex>{digest}</password_sha256_hex>"
        users.append(_user(name, "default", password, grants(name, names)))
    return USERS.format(users="\n".join(users))


def _user(name: str, profile: str, password: str, granted: Iterable[str]) -> str:
    queries = "\n".join(f"                <query>GRANT {grant}</query>" for grant in granted)
    return USER.format(name=name, profile=profile, password=password, host=HOST, grants=queries)
