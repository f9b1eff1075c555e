"""The local ClickHouse, tested with real servers, processes and signals."""

import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import clickhouse_driver
import pytest

from local_clickhouse import LocalClickHouseError, LocalServer, running_server
from local_clickhouse.folder import ServerFolder
from local_clickhouse.local_server import is_running
from tests.support.paths import PROJECT
from tests.support.ports import quiet_ports
from tests.support.server_process import server_pid

pytestmark = pytest.mark.slow

# A process that uses the server until its standard input is closed.
USER = """
import os, sys
from pathlib import Path
from local_clickhouse import running_server
with running_server(Path(sys.argv[1])) as server:
    print(server.started, server.http_port, flush=True)
    sys.stdin.read()
"""


class RefusedError(Exception):
    """The error of a query that the server rejected."""


def ask(server: LocalServer, user: str, query: str) -> str:
    headers = {"X-ClickHouse-User": user}
    if user in server.logins:
        headers["X-ClickHouse-Key"] = server.logins[user].password
    address = f"http://{server.host}:{server.http_port}/"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(address, query.encode(), headers)) as answer:
            text: str = answer.read().decode(errors="replace").strip()
            return text
    except urllib.error.HTTPError as error:
        raise RefusedError(error.read().decode()) from error


def start_user(home: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(home)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def read_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=60)
    assert process.returncode == 0


def kill(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)


def soon(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def is_up(home: Path) -> bool:
    return is_running(ServerFolder(home))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A server with a raw table of two rows, and a view of that table in the marts."""
    with running_server(tmp_path_factory.mktemp("shared")) as server:
        for user, query in (
            ("loader", "CREATE DATABASE IF NOT EXISTS zakaz_raw"),
            ("loader", "CREATE TABLE zakaz_raw.orders (id UInt64) ENGINE MergeTree ORDER BY id"),
            ("loader", "INSERT INTO zakaz_raw.orders VALUES (1), (2)"),
            ("transformer", "CREATE DATABASE IF NOT EXISTS zakaz"),
            ("transformer", "CREATE TABLE zakaz.fact_sales (id UInt64) ENGINE Memory"),
            ("transformer", "CREATE VIEW zakaz.v_sales AS SELECT id FROM zakaz.fact_sales"),
            ("transformer", "CREATE VIEW zakaz.stg_sales AS SELECT id FROM zakaz_raw.orders"),
        ):
            ask(server, user, query)
        yield server


def test_every_login_works_over_http_and_native(server: LocalServer) -> None:
    for user, login in server.logins.items():
        assert ask(server, user, "SELECT currentUser()") == user
        client = clickhouse_driver.Client(
            server.host, server.native_port, user=login.user, password=login.password
        )
        assert client.execute("SELECT currentUser(), timezone()") == [(user, "UTC")]
        client.disconnect()


@pytest.mark.parametrize(
    ("user", "query"),
    [
        ("loader", "CREATE DATABASE IF NOT EXISTS zakaz_raw"),
        ("loader", "ALTER TABLE zakaz_raw.orders ADD COLUMN IF NOT EXISTS note String"),
        ("loader", "ALTER TABLE zakaz_raw.orders DELETE WHERE id = 99"),
        ("loader", "OPTIMIZE TABLE zakaz_raw.orders FINAL"),
        ("loader", "SELECT count() FROM INFORMATION_SCHEMA.COLUMNS"),
        ("transformer", "SELECT count() FROM zakaz_raw.orders"),
        ("transformer", "CREATE DATABASE IF NOT EXISTS zakaz_dbt_test__audit"),
        ("transformer", "CREATE OR REPLACE TABLE zakaz.a (x Int8) ENGINE MergeTree ORDER BY x"),
        ("transformer", "CREATE OR REPLACE TABLE zakaz.b (x Int8) ENGINE MergeTree ORDER BY x"),
        ("transformer", "EXCHANGE TABLES zakaz.a AND zakaz.b"),
        ("transformer", "SELECT count() FROM system.merges"),
        ("backup", "SELECT count() FROM zakaz_raw.orders"),
        ("backup", "BACKUP TABLE zakaz_raw.orders TO Disk('backups', 'tried')"),
        (
            "backup",
            "RESTORE TABLE zakaz_raw.orders AS zakaz_raw.restored FROM Disk('backups', 'tried')",
        ),
        ("reader", "SELECT count() FROM zakaz.v_sales"),
        ("reader", "SELECT count() FROM INFORMATION_SCHEMA.COLUMNS"),
        ("reader", "SELECT name FROM system.tables WHERE database = 'zakaz'"),
    ],
)
def test_a_user_may_do_what_its_work_needs(server: LocalServer, user: str, query: str) -> None:
    ask(server, user, query)


@pytest.mark.parametrize(
    ("user", "query"),
    [
        ("loader", "CREATE DATABASE zakaz"),
        ("loader", "SELECT * FROM zakaz.v_sales"),
        ("loader", "DROP VIEW zakaz.v_sales"),
        ("transformer", "INSERT INTO zakaz_raw.orders (id) VALUES (3)"),
        ("transformer", "DROP TABLE zakaz_raw.orders"),
        ("transformer", "CREATE TABLE zakaz_raw.x (x Int8) ENGINE Memory"),
        ("transformer", "CREATE DATABASE elsewhere"),
        ("reader", "SELECT * FROM zakaz_raw.orders"),
        ("reader", "SELECT * FROM zakaz.stg_sales"),
        ("reader", "CREATE TABLE zakaz.x (x Int8) ENGINE Memory"),
        ("reader", "DROP VIEW zakaz.v_sales"),
        ("reader", "SELECT * FROM system.query_log"),
        ("loader", "BACKUP TABLE zakaz_raw.orders TO Disk('backups', 'loaders')"),
        ("reader", "BACKUP VIEW zakaz.v_sales TO Disk('backups', 'readers')"),
        ("backup", "BACKUP TABLE zakaz_raw.orders TO Disk('backups', '../data/x')"),
        ("backup", "BACKUP TABLE zakaz_raw.orders TO File('/tmp/never-written')"),
        ("backup", "DROP TABLE zakaz_raw.orders"),
        ("backup", "TRUNCATE TABLE zakaz_raw.orders"),
        ("default", "SELECT 1"),
        ("default", "SYSTEM STOP LISTEN HTTP"),
    ],
)
def test_a_user_may_do_nothing_else(server: LocalServer, user: str, query: str) -> None:
    with pytest.raises(RefusedError):
        ask(server, user, query)


@pytest.mark.parametrize("user", ["loader", "transformer", "reader", "default"])
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/passwd')",
        "SELECT file('/etc/passwd', 'missing')",
        "SELECT 1 FORMAT Template SETTINGS format_template_row = '/etc/passwd'",
        "SELECT 1 FORMAT Template SETTINGS format_template_resultset = '/etc/passwd'",
        "SELECT 1 FORMAT CapnProto SETTINGS format_schema = '/etc/passwd:x'",
        "INSERT INTO FUNCTION file('/tmp/never-written', 'CSV', 'x Int8') VALUES (1)",
        "CREATE TABLE {own}.f (line String) ENGINE File(LineAsString, '/etc/passwd')",
        "CREATE TABLE {own}.f (x Int8) ENGINE SQLite('/tmp/never-written', 't')",
        "CREATE DICTIONARY {own}.f (x String) PRIMARY KEY x LAYOUT(FLAT()) LIFETIME(0) "
        "SOURCE(FILE(path '/etc/passwd' format 'LineAsString'))",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    ],
)
def test_no_user_reaches_files_of_this_machine(server: LocalServer, user: str, query: str) -> None:
    own = "zakaz_raw" if user == "loader" else "zakaz"
    with pytest.raises(RefusedError) as refusal:
        ask(server, user, query.format(own=own))
    assert "root:" not in str(refusal.value)


def test_no_table_function_of_the_engine_reaches_files_or_ends_the_server(
    server: LocalServer,
) -> None:
    functions = ask(server, "transformer", "SELECT name FROM system.table_functions").split()
    assert {"file", "python", "url"} <= set(functions)
    # These return their arguments, so the name of a file comes back, but not its content.
    for user in server.logins:
        for function in functions:
            for arguments in ("", "'x'", "'/etc/passwd'", "'/etc/passwd', 'LineAsString'"):
                try:
                    answer = ask(server, user, f"SELECT * FROM {function}({arguments}) LIMIT 1")
                except RefusedError as refusal:
                    answer = str(refusal)
                assert "root:" not in answer, f"{user}: {function}({arguments})"


@pytest.mark.parametrize("where", ["SETTINGS allow_python_table_function = 1", ""])
def test_no_user_can_allow_python_in_sql(server: LocalServer, where: str) -> None:
    with pytest.raises(RefusedError, match="allow_python_table_function"):
        ask(server, "reader", f"SELECT * FROM python('x') {where}")


def test_the_server_process_has_no_secrets_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("QTICKETS_TOKEN", "QTICKETS_PII_SALT", "CLICKHOUSE_PASSWORD"):
        monkeypatch.setenv(name, "a-secret")
    with running_server(tmp_path):
        environment = Path(f"/proc/{server_pid(tmp_path)}/environ").read_bytes()

    assert b"a-secret" not in environment
    assert b"TZ=UTC" in environment


def test_passwords_are_stored_in_a_private_file_and_do_not_change(tmp_path: Path) -> None:
    with running_server(tmp_path / "home") as server:
        first = server.logins
        folder = server.folder
        assert all(login.password not in repr(server) for login in first.values())
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert folder.credentials.stat().st_mode & 0o777 == 0o600
    assert not any(login.password in folder.users.read_text() for login in first.values())
    with running_server(tmp_path / "home") as server:
        assert server.logins == first


def test_data_survive_a_restart_and_a_kill_of_the_server(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        ask(server, "loader", "CREATE DATABASE zakaz_raw")
        ask(server, "loader", "CREATE TABLE zakaz_raw.t (x Int8) ENGINE MergeTree ORDER BY x")
        ask(server, "loader", "INSERT INTO zakaz_raw.t VALUES (1)")
    assert not is_up(tmp_path)
    with running_server(tmp_path) as server:
        ask(server, "loader", "INSERT INTO zakaz_raw.t VALUES (2)")
        os.kill(server_pid(tmp_path), signal.SIGKILL)
        assert soon(lambda: not is_up(tmp_path))
    with running_server(tmp_path) as server:
        assert server.started
        assert ask(server, "loader", "SELECT count() FROM zakaz_raw.t") == "2"


def test_a_warm_start_and_a_stop_are_quick(tmp_path: Path) -> None:
    with running_server(tmp_path):
        pass
    before = time.monotonic()
    with running_server(tmp_path) as server:
        started = time.monotonic()
        login = server.logins["loader"]
        idle = clickhouse_driver.Client(
            server.host, server.native_port, user=login.user, password=login.password
        )
        idle.execute("SELECT 1")
        leaving = time.monotonic()
    # Wide margins: the machine may be busy with other tests.
    assert started - before < 5
    assert time.monotonic() - leaving < 4
    assert not is_up(tmp_path)
    idle.disconnect()


def test_a_second_process_uses_the_server_which_outlives_the_first(tmp_path: Path) -> None:
    owner = start_user(tmp_path)
    owner_started, owner_port = read_line(owner).split()
    assert owner_started == "True"
    with running_server(tmp_path) as server:
        assert (server.started, server.http_port) == (False, int(owner_port))
        leave(owner)
        assert ask(server, "reader", "SELECT 1") == "1"
    assert not is_up(tmp_path)


def test_processes_that_start_at_the_same_time_share_one_server(tmp_path: Path) -> None:
    users = [start_user(tmp_path) for _ in range(3)]
    lines = [read_line(user).split() for user in users]
    assert sorted(started for started, _ in lines) == ["False", "False", "True"]
    assert len({port for _, port in lines}) == 1
    for user in users:
        leave(user)
    assert not is_up(tmp_path)


def test_a_killed_owner_leaves_no_orphan_and_disturbs_no_other_user(tmp_path: Path) -> None:
    owner = start_user(tmp_path)
    read_line(owner)
    with running_server(tmp_path) as server:
        kill(owner)
        time.sleep(0.5)
        assert ask(server, "reader", "SELECT 1") == "1"
    other = start_user(tmp_path)
    read_line(other)
    kill(other)
    assert soon(lambda: not is_up(tmp_path))


def test_files_of_a_killed_server_do_not_prevent_a_new_start(tmp_path: Path) -> None:
    owner = start_user(tmp_path)
    read_line(owner)
    os.kill(server_pid(tmp_path), signal.SIGKILL)
    kill(owner)
    assert ServerFolder(tmp_path).address.exists()
    with running_server(tmp_path) as server:
        assert server.started


def test_a_process_that_starts_while_the_server_stops_gets_a_new_server(tmp_path: Path) -> None:
    for _ in range(5):
        owner = start_user(tmp_path)
        read_line(owner)
        kill(owner)
        with running_server(tmp_path) as server:
            assert ask(server, "reader", "SELECT 1") == "1"


def test_another_database_is_added_at_the_next_start(tmp_path: Path) -> None:
    with (
        running_server(tmp_path, database="shop"),
        pytest.raises(LocalClickHouseError, match="without the database 'other'"),
        running_server(tmp_path, database="other"),
    ):
        pass
    with running_server(tmp_path, database="shop") as server:
        ask(server, "loader", "CREATE DATABASE shop_raw")
        ask(server, "transformer", "CREATE DATABASE other")


@pytest.mark.parametrize("name", ["system", "zakaz_raw", "a-b", "a`.* TO x", ""])
def test_a_database_name_with_grants_on_others_is_rejected(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(LocalClickHouseError, match="cannot be the name"),
        running_server(tmp_path, database=name),
    ):
        pass
    assert not list(tmp_path.iterdir())


def failure(home: Path, http_port: int = 0) -> str:
    with pytest.raises(LocalClickHouseError) as caught, running_server(home, http_port=http_port):
        pass
    assert "\n" not in str(caught.value)
    assert not is_up(home)
    return str(caught.value)


def test_a_port_in_use_is_reported(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = failure(tmp_path, http_port=port)
    assert "port is in use" in message
    assert str(port) in message


def test_a_damaged_folder_is_reported(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "clickhouse").write_text("a file in the folder's place")
    with pytest.raises(LocalClickHouseError, match="cannot be used"), running_server(blocked):
        pass

    with running_server(tmp_path) as server:
        ask(server, "loader", "CREATE DATABASE zakaz_raw")
        folder = server.folder
    passwords = folder.credentials.read_text()
    folder.credentials.write_text("{")
    assert "passwords" in failure(tmp_path)
    folder.credentials.write_text(passwords)
    for metadata in (folder.data / "metadata").glob("zakaz_raw*.sql"):
        metadata.write_text("no SQL at all")
    assert "damaged" in failure(tmp_path)


def test_a_folder_that_cannot_be_written_is_reported() -> None:
    with (
        pytest.raises(LocalClickHouseError, match=r"cannot be used.*another home"),
        running_server(Path("/proc/qtickets")),
    ):
        pass


# The second is reported if the server still answers one query before the signal stops it.
HANGS = "hangs: the (running server did not respond|server has stopped responding)"


def test_a_server_that_hangs_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(tmp_path):
        pid = server_pid(tmp_path)
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr("local_clickhouse.local_server.START_SECONDS", 1)
        with (
            pytest.raises(LocalClickHouseError, match=HANGS),
            running_server(tmp_path),
        ):
            pass
        os.kill(pid, signal.SIGCONT)


def test_a_folder_used_by_another_server_is_reported(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        # Simulates a file system that does not support locks.
        server.folder.server_lock.unlink()
        with (
            pytest.raises(LocalClickHouseError, match="another server uses this folder"),
            running_server(tmp_path),
        ):
            pass
        assert ask(server, "reader", "SELECT 1") == "1"


@pytest.mark.parametrize("limit", [0, 64, 2000])
def test_a_full_disk_is_reported_in_one_line(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files simulates a full disk."""
    script = (
        "import sys; from pathlib import Path; from local_clickhouse import *\n"
        "try:\n    with running_server(Path(sys.argv[1])):\n        pass\n"
        "except LocalClickHouseError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, str(tmp_path)],
        check=True,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert len(done.stdout.splitlines()) == 1
    assert "free space" in done.stdout
    assert "Traceback" not in done.stderr


def run_foreground(home: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "local_clickhouse", "--home", str(home), *options],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def test_the_command_prints_how_to_connect_and_ends_cleanly(tmp_path: Path) -> None:
    process = run_foreground(tmp_path, "--http-port", "0", "--native-port", "0")
    assert process.stdout is not None
    help_text = ""
    for line in process.stdout:
        help_text += line
        if "Ctrl-C" in line:
            break
    passwords = json.loads(ServerFolder(tmp_path).credentials.read_text())
    for part in (
        "/play",
        "DBeaver",
        "DataLens",
        "export CLICKHOUSE_HOST=127.0.0.1",
        f"export CLICKHOUSE_PASSWORD={passwords['loader']}",
        f"export CLICKHOUSE_TRANSFORM_PASSWORD={passwords['transformer']}",
        f"password {passwords['reader']}",
    ):
        assert part in help_text
    for pid in (process.pid, server_pid(tmp_path)):
        arguments = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(password in arguments for password in passwords.values())

    printed = run_foreground(tmp_path, "--print-env").communicate(timeout=60)[0]
    assert re.findall(r"^export (\w+)=", printed, re.M) == [
        "CLICKHOUSE_HOST",
        "CLICKHOUSE_PORT",
        "CLICKHOUSE_NATIVE_PORT",
        "CLICKHOUSE_USER",
        "CLICKHOUSE_PASSWORD",
        "CLICKHOUSE_TRANSFORM_USER",
        "CLICKHOUSE_TRANSFORM_PASSWORD",
        "CLICKHOUSE_DB",
    ]
    assert set(printed.split()) <= set(help_text.split())

    with running_server(tmp_path) as server:
        process.send_signal(signal.SIGTERM)
        assert "Left running" in process.communicate(timeout=60)[0]
        assert process.returncode == 0
        assert ask(server, "reader", "SELECT 1") == "1"
    assert not is_up(tmp_path)


def test_the_command_attaches_to_a_running_server(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        process = run_foreground(tmp_path)
        assert process.stdout is not None
        assert "Already running" in process.stdout.readline()
        assert str(server.http_port) in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert ask(server, "reader", "SELECT 1") == "1"


def test_the_command_reports_that_its_server_was_killed(tmp_path: Path) -> None:
    process = run_foreground(tmp_path, "--http-port", "0", "--native-port", "0")
    assert soon(ServerFolder(tmp_path).address.exists)
    assert process.stdout is not None
    while "Ctrl-C" not in process.stdout.readline():
        pass
    os.kill(server_pid(tmp_path), signal.SIGKILL)
    assert "error: the server has ended unexpectedly" in process.communicate(timeout=60)[0]
    assert process.returncode == 1


def test_print_env_without_a_server_fails_and_creates_nothing(tmp_path: Path) -> None:
    process = run_foreground(tmp_path / "home", "--print-env")
    assert "error: no local ClickHouse is running" in process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert not (tmp_path / "home").exists()


def test_a_chdb_core_without_the_listener_is_rejected_by_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    (old / "chdb_core-26.7.2.dist-info").mkdir(parents=True)
    (old / "chdb_core-26.7.2.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: chdb-core\nVersion: 26.7.2\n"
    )
    monkeypatch.syspath_prepend(old)
    assert "needs chdb-core 26.7.3 or later, installed is 26.7.2" in failure(tmp_path / "home")


def test_a_chdb_core_without_the_entry_point_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "changed" / "chdb"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "_chdb.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    message = failure(tmp_path / "home")
    assert "install the pinned chdb-core version" in message
    assert "no chdb._chdb.query any more" in message


def test_chdb_core_has_the_private_entry_point_that_this_package_uses(tmp_path: Path) -> None:
    (tmp_path / "config.xml").write_text(
        "<clickhouse><listen_host>127.0.0.1</listen_host><http_port>0</http_port></clickhouse>"
    )
    query = "SYSTEM START LISTEN HTTP; SELECT getServerPort('http_port') INTO OUTFILE 'port.tsv'"
    script = (
        f"import os; from chdb import _chdb; os.chdir({str(tmp_path)!r}); _chdb.query({query!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, cwd="/", capture_output=True, text=True
    )
    port = tmp_path / "port.tsv"
    assert port.exists(), (
        "this chdb-core no longer supports SYSTEM START LISTEN in chdb._chdb.query, which "
        f"local_clickhouse needs: pin the previous version. Its error: {done.stderr}"
    )
    assert int(port.read_text()) > 0


def test_the_next_start_listens_on_the_same_port_unless_it_is_taken(tmp_path: Path) -> None:
    (port,) = quiet_ports(1)
    with running_server(tmp_path, http_port=port):
        pass
    with running_server(tmp_path) as second:
        assert second.http_port == port
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with running_server(tmp_path) as third:
            assert third.http_port != port
