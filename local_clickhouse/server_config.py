"""The server's `config.xml` and `users.xml`."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from local_clickhouse.credentials import Login
from local_clickhouse.grants import DEFAULT_GRANTS, grants

HOST = "127.0.0.1"

# Access control is as strict as in a stock server's configuration, so a query that is allowed here
# is allowed there. `keep_alive_timeout` is a stock server's: with a shorter one, the server closes
# connections that clients are about to use again, and their inserts fail. `poll_interval` below
# limits how long a stop waits for idle clients of the native protocol.
# `background_merges_mutations_…` allows as many concurrent merges and mutations as on a large
# machine; with few, a DELETE waits a tenth of a second for each part of a table.
# Without `ignore_empty_sql_security_…`, `default_normal_view_sql_security` has no effect.
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

# The engine runs as a command-line tool, so SQL may name any file that its user can read. Grants do
# not prevent all of that, so settings that name files are constant, and `file()` is replaced.
# The table function `python()` needs no grant, and ends the process: it is built for engines inside
# a Python program that calls them.
# `default` has no password, because the process itself logs in as `default`. It is limited to one
# session, which the process uses, so no one else can log in as `default`.
# By default a view runs with the grants of the user who reads it. `DEFINER` lets `reader` read the
# views of the marts without grants on raw tables.
USERS = """\
<clickhouse>
    <profiles>
        <default>
            <implicit_select>0</implicit_select>
            <allow_introspection_functions>0</allow_introspection_functions>
            <storage_file_read_method>pread</storage_file_read_method>
            <poll_interval>1</poll_interval>
            <allow_python_table_function>0</allow_python_table_function>
            <default_normal_view_sql_security>DEFINER</default_normal_view_sql_security>
            <constraints>
                <allow_python_table_function><const/></allow_python_table_function>
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

# The server loads this function in place of the built-in one; the file name is fixed.
FILE_FUNCTION_NAME = "function_file.sql"
FILE_FUNCTION = "CREATE FUNCTION file AS path -> throwIf(1, 'file() is not available here')\n"


def config_xml(users: Path, backups: Path, http_port: int, native_port: int) -> str:
    """Return `config.xml`; port 0 is any free port.

    Backups go to a disk of their own, since `File(…)` would need a grant on all files.
    """
    return CONFIG.format(
        host=HOST,
        users=escape(str(users)),
        backups=escape(str(backups)),
        http_port=http_port,
        native_port=native_port,
    )


def users_xml(logins: Mapping[str, Login], databases: Iterable[str]) -> str:
    """Return `users.xml`, with hashed passwords, and grants on every database."""
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
