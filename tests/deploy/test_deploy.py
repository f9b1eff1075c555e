"""The files of deploy/ are consistent with the code and with each other, and the scripts work.

Checks that need tools other than Python (hadolint, docker compose, systemd-analyze, …) are in
`make check-deploy`.
"""

import ast
import hashlib
import importlib.metadata
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import clickhouse_connect
import pytest
import yaml
from clickhouse_connect.driver.exceptions import DatabaseError

from local_clickhouse import LocalServer, running_server
from local_clickhouse.grants import grants
from local_clickhouse.server_config import users_xml
from pipelines.configuration.environment import Settings
from pipelines.configuration.secret_files import is_secret
from tests.support.clickhouse import query
from tests.support.paths import PROJECT

DEPLOY = PROJECT / "deploy"
ZEROS = "0" * 64

VARIABLES = {name.upper() for name in Settings.model_fields}
SECRETS = {name for name, field in Settings.model_fields.items() if is_secret(field)}


def script(*arguments: str | Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*arguments],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def users(form: str, *options: str) -> str:
    # -S hides installed packages, as on a server that has only Python.
    done = script(sys.executable, "-S", DEPLOY / "clickhouse_users.py", form, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def statements(sql: str) -> list[str]:
    lines = [line for line in sql.splitlines() if not line.startswith("--")]
    return [text.strip() for text in "\n".join(lines).split(";") if text.strip()]


# Users of ClickHouse ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "path"),
    [("sql", "users.sql"), ("xml", "users.d/qtickets.xml"), ("cluster", "cluster.sql")],
)
def test_the_files_of_users_are_what_the_script_writes(form: str, path: str) -> None:
    assert (DEPLOY / "clickhouse" / path).read_text() == users(form)


@pytest.mark.parametrize("user", ["loader", "transformer", "reader", "backup"])
def test_a_separate_server_gets_the_same_grants_as_the_local_one(user: str) -> None:
    sql = (DEPLOY / "clickhouse" / "users.sql").read_text()
    xml = ElementTree.parse(DEPLOY / "clickhouse" / "users.d" / "qtickets.xml")
    local = [f"GRANT {grant}" for grant in grants(user, ["zakaz"])]

    assert re.findall(rf"^(GRANT .* ON .*) TO qtickets_{user}_role;$", sql, re.M) == local
    assert [g.text for g in xml.findall(f"users/qtickets_{user}/grants/query")] == local


def test_clickhouse_understands_every_statement(server: LocalServer, tmp_path: Path) -> None:
    made = users("sql", "--secrets", str(tmp_path / "secrets"))
    found = statements(made) + statements(users("sql")) + statements(users("cluster"))

    assert len(found) > 100
    literals = ", ".join("'" + statement.replace("'", "\\'") + "'" for statement in found)
    (parsed,) = query(server, "loader", f"SELECT arrayMap(formatQuery, [{literals}]) AS all")
    assert len(parsed["all"]) == len(found)


def test_passwords_are_generated_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    first, again = (users("xml", "--secrets", str(folder)) for _ in range(2))

    assert first == again
    assert ZEROS not in first
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.name: path for path in folder.iterdir()}
    assert set(files) >= {"clickhouse_password", "clickhouse_transform_password"}
    for path in files.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        password = path.read_text().strip()
        assert len(password) == 48
        assert password not in first
    digest = hashlib.sha256(files["clickhouse_password"].read_text().strip().encode()).hexdigest()
    assert digest in first


def test_running_the_sql_again_without_passwords_keeps_the_passwords() -> None:
    altered = [line for line in users("sql").splitlines() if line.startswith("ALTER USER")]

    assert len(altered) == 4
    assert not [line for line in altered if "IDENTIFIED" in line]


def test_a_database_name_that_would_widen_the_grants_is_refused() -> None:
    done = script(sys.executable, DEPLOY / "clickhouse_users.py", "sql", "--database", "a`.*")

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""


class Users:
    """A running server with the users of deploy/ in addition to its own."""

    def __init__(self, server: LocalServer, secrets: Path) -> None:
        self._server, self._secrets = server, secrets

    def ask(self, user: str, sql: str, **settings: Any) -> Any:
        file = {"loader": "clickhouse_password", "transformer": "clickhouse_transform_password"}
        password = (self._secrets / file.get(user, f"clickhouse_{user}_password")).read_text()
        client = clickhouse_connect.get_client(
            host=self._server.host,
            port=self._server.http_port,
            username=f"qtickets_{user}",
            password=password.strip(),
        )
        try:
            return client.command(sql, settings=settings)
        finally:
            client.close()


@pytest.fixture(scope="module")
def own_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Users]:
    """Yield a server with the users of deploy/.

    The embedded engine does not read `users.d`, so the users are added to its `users.xml`.
    """
    folder = tmp_path_factory.mktemp("users")
    ours = ElementTree.fromstring(users("xml", "--secrets", str(folder / "secrets")))

    def with_ours(*arguments: Any) -> str:
        tree = ElementTree.fromstring(users_xml(*arguments))
        for part in ("profiles", "quotas", "users"):
            there, more = tree.find(part), ours.find(part)
            assert there is not None and more is not None
            there.extend(more)
        return ElementTree.tostring(tree, encoding="unicode")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("local_clickhouse.local_server.users_xml", with_ours)
        with running_server(folder) as server:
            yield Users(server, folder / "secrets")


@pytest.mark.slow
def test_each_user_may_do_its_work_and_no_more(own_users: Users) -> None:
    own_users.ask("loader", "CREATE DATABASE zakaz_raw")
    own_users.ask("loader", "CREATE TABLE zakaz_raw.t (x Int8) ENGINE MergeTree ORDER BY x")
    own_users.ask("loader", "INSERT INTO zakaz_raw.t VALUES (1)")
    own_users.ask("transformer", "CREATE DATABASE zakaz")
    own_users.ask(
        "transformer",
        "CREATE TABLE zakaz.fact_m ENGINE MergeTree ORDER BY x AS SELECT x FROM zakaz_raw.t",
    )
    own_users.ask("transformer", "CREATE VIEW zakaz.stg_m AS SELECT x FROM zakaz.fact_m")

    assert own_users.ask("reader", "SELECT sum(x) FROM zakaz.fact_m") == 1
    assert own_users.ask("backup", "SELECT sum(x) FROM zakaz_raw.t") == 1
    for user, forbidden in (
        ("loader", "SELECT * FROM zakaz.fact_m"),
        ("transformer", "INSERT INTO zakaz_raw.t VALUES (2)"),
        ("reader", "SELECT * FROM zakaz_raw.t"),
        ("reader", "SELECT * FROM zakaz.stg_m"),
        ("reader", "INSERT INTO zakaz.fact_m VALUES (2)"),
        ("backup", "DROP TABLE zakaz.fact_m"),
        ("backup", "ALTER TABLE zakaz_raw.t DELETE WHERE 1"),
    ):
        with pytest.raises(DatabaseError):
            own_users.ask(user, forbidden)


@pytest.mark.slow
def test_bi_may_send_settings_but_raise_no_limit(own_users: Users) -> None:
    limits = {"max_execution_time": 60, "max_memory_usage": 2_000_000_000}

    assert own_users.ask("reader", "SELECT 1", max_execution_time=30, max_threads=2) == 1
    for setting, limit in limits.items():
        assert int(own_users.ask("reader", f"SELECT getSetting('{setting}')")) == limit
        with pytest.raises(DatabaseError, match=setting):
            own_users.ask("reader", "SELECT 1", **{setting: limit + 1})
    with pytest.raises(DatabaseError):
        own_users.ask("reader", "SELECT 1", readonly=0)


# Docker, Kubernetes, systemd ----------------------------------------------------------------------


def check_variables(variables: dict[str, str], secrets_folder: str) -> None:
    """Check that every variable belongs to the settings, and that secrets are given as files."""
    for name, value in variables.items():
        setting = name.removesuffix("_FILE").lower()
        if name.endswith("_FILE"):
            assert setting in SECRETS
            assert value == f"{secrets_folder}/{setting}"
        else:
            assert name in VARIABLES
            # The destination of backups is a secret only if it contains a key.
            assert setting not in SECRETS or value == "Disk('backups', '{name}')"


def test_compose_gives_the_pipeline_known_variables_secrets_as_files_and_no_rights() -> None:
    compose = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
    pipeline, server = compose["services"]["pipeline"], compose["services"]["clickhouse"]
    variables = dict(pipeline["environment"])

    assert variables["QTICKETS_EVERY_MINUTES"] == "30"
    assert pipeline["command"][0] == "serve"
    assert all(port.startswith("127.0.0.1:") for port in pipeline["ports"])
    check_variables(variables, "/run/secrets")
    named = {name.removesuffix("_FILE").lower() for name in variables if name.endswith("_FILE")}
    assert named == set(pipeline["secrets"]) == set(compose["secrets"])
    assert pipeline["read_only"] and pipeline["cap_drop"] == ["ALL"]
    assert pipeline["user"].startswith("10001")
    assert all(port.startswith("127.0.0.1:") for port in server["ports"])
    for volume in server["volumes"]:
        if volume.startswith("./") and "secrets" not in volume:
            assert (DEPLOY / volume.split(":")[0]).is_file()


def test_compose_names_the_files_that_the_script_of_users_makes(tmp_path: Path) -> None:
    users("xml", "--secrets", str(tmp_path))
    compose = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
    files = {Path(secret["file"]).name for secret in compose["secrets"].values()}

    assert files - {path.name for path in tmp_path.iterdir()} == {"qtickets_token"}


def kubernetes(name: str) -> dict[str, dict[str, Any]]:
    """Return the documents of a file by their kind."""
    documents = yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text())
    return {document["kind"]: document for document in documents}


@pytest.mark.parametrize("name", ["serve.yaml", "cronjob.yaml"])
def test_kubernetes_gives_known_variables_secrets_as_files_and_no_rights(name: str) -> None:
    shared = kubernetes("qtickets.yaml")
    workload = next(iter(kubernetes(name).values()))["spec"]
    pod = workload.get("jobTemplate", {"spec": workload})["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    own = {variable["name"]: variable["value"] for variable in container.get("env", [])}
    check_variables(shared["ConfigMap"]["data"] | own, "/secrets")
    assert set(shared["Secret"]["stringData"]) <= SECRETS
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["securityContext"]["runAsNonRoot"]
    # With service links, a service named clickhouse would set CLICKHOUSE_PORT to an address.
    assert pod["enableServiceLinks"] is False
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


def test_kubernetes_makes_one_run_at_a_time_and_keeps_webhooks_while_runs_fail() -> None:
    assert kubernetes("cronjob.yaml")["CronJob"]["spec"]["concurrencyPolicy"] == "Forbid"
    documents = kubernetes("serve.yaml")
    serve, service = documents["Deployment"]["spec"], documents["Service"]["spec"]
    (container,) = serve["template"]["spec"]["containers"]
    (port,) = container["ports"]

    assert (serve["replicas"], serve["strategy"]) == (1, {"type": "Recreate"})
    assert container["args"][0] == "serve"
    listens = {variable["name"]: variable["value"] for variable in container["env"]}
    assert listens["QTICKETS_LISTEN"] == f"0.0.0.0:{port['containerPort']}"
    probes = [container[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")]
    assert probes == ["/health", "/ready"]
    # `/ready` is 503 after a run that failed; a webhook must still reach the pod.
    assert service["publishNotReadyAddresses"] is True
    labels = serve["template"]["metadata"]["labels"]
    assert service["selector"] == serve["selector"]["matchLabels"] == labels
    assert service["ports"][0]["targetPort"] == port["name"]


def test_systemd_gives_secrets_that_the_installation_makes_and_keeps_serve_running() -> None:
    service = "".join(
        (DEPLOY / "systemd" / name).read_text() for name in ("qtickets.service", "common.conf")
    )
    install = (DEPLOY / "install.sh").read_text()

    credentials = dict(re.findall(r"^LoadCredential=(\w+):(.*)$", service, re.M))
    assert set(credentials) <= SECRETS
    for name, path in credentials.items():
        assert path == f"/etc/qtickets/secrets/{name}"
        assert name in install
    assert re.search(r"^ExecStart=.*/pipelines/qtickets.py serve$", service, re.M)
    assert "Restart=always" in service
    for setting in ("NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "UMask=0077"):
        assert setting in service


def test_an_upgrade_removes_the_timer_of_earlier_releases(tmp_path: Path) -> None:
    timer = tmp_path / "etc/systemd/system/qtickets.timer"
    timer.parent.mkdir(parents=True)
    timer.write_text("[Timer]\nOnCalendar=*:0/30\n")

    install(tmp_path)

    assert not timer.exists()
    assert (timer.parent / "qtickets.service").exists()


def test_proxies_pass_what_shows_that_a_request_comes_from_outside() -> None:
    nginx = (DEPLOY / "proxy" / "nginx.conf").read_text()
    caddy = (DEPLOY / "proxy" / "Caddyfile").read_text()

    assert "proxy_set_header X-Forwarded-For $remote_addr;" in nginx
    assert "proxy_set_header Host $host;" in nginx
    for text in (nginx, caddy):
        assert "/webhooks/qtickets" in text
        assert "404" in text


def test_the_image_has_what_the_command_imports_and_nothing_that_is_private() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = set(re.findall(r"^COPY (?!--from)(.*) \S+$", dockerfile, re.M))
    sources = {name for line in copied for name in line.split()}

    for name in sources:
        assert (PROJECT / name).exists(), name
        allowed = f"!{name.rstrip('/')}"
        assert allowed in ignored or any(line.startswith(allowed) for line in ignored), (
            f"{name} is excluded from the build context"
        )
    ours = {path.parent.name for path in PROJECT.glob("*/__init__.py")} - {
        "tests",
        "benchmarks",
        "tools",
    }
    assert sources >= {*ours, "dbt_project", "cassettes"}
    for name in sources:
        top = re.escape(name.partition("/")[0])
        assert re.search(rf"\b{top}\b", (DEPLOY / "install.sh").read_text()), name
    assert ignored[1] == "*"
    assert re.search(r"^USER 10001", dockerfile, re.M)
    assert '"check"]' in dockerfile


# Packages for a server ----------------------------------------------------------------------------


def pins(path: Path) -> set[str]:
    return set(re.findall(r"^\S+==\S+", path.read_text(), re.M))


def test_a_server_gets_the_same_versions_and_not_the_engine() -> None:
    server = pins(DEPLOY / "requirements.txt")

    assert server < pins(PROJECT / "requirements.txt")
    assert not [pin for pin in server if pin.startswith(("chdb", "numpy", "pytest", "ruff"))]


def test_a_server_gets_every_package_that_the_pipeline_imports() -> None:
    listed = {pin.partition("==")[0] for pin in pins(DEPLOY / "requirements.txt")}
    owners = importlib.metadata.packages_distributions()
    imported: dict[str, Path] = {}
    for folder in ("pipelines", "qtickets_source"):
        for path in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names = [node.module]
                imported |= {name.partition(".")[0]: path for name in names}
    assert {"dlt", "clickhouse_connect", "typer"} <= set(imported)
    for name, path in imported.items():
        packages = {package.lower().replace("_", "-") for package in owners.get(name, [])}
        # `dbt` is a namespace of several packages; dbt-core depends on the others.
        assert not packages or packages & listed, f"{path.name} imports {name}"


# The installation ---------------------------------------------------------------------------------


def install(root: Path, *options: str, source: Path = PROJECT) -> str:
    done = script(source / "deploy" / "install.sh", "--root", root, "--no-packages", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def state_of(root: Path) -> dict[str, tuple[int, Any]]:
    """Return the mode, and the content or link target, of everything in a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        content: Any = path.is_file() and path.read_bytes()
        if path.is_symlink():
            content = path.readlink()
        found[str(path.relative_to(root))] = (path.lstat().st_mode, content)
    return found


def test_a_second_installation_changes_nothing(tmp_path: Path) -> None:
    first = install(tmp_path)
    before = state_of(tmp_path)
    second = install(tmp_path)

    assert "+ copy the project" in first
    assert not [line for line in second.splitlines() if line.startswith("+")]
    assert state_of(tmp_path) == before
    current = tmp_path / "opt" / "qtickets" / "current"
    assert (current / "pipelines" / "qtickets.py").is_file()
    assert (current / "dbt_project" / "profiles.yml").is_file()
    secrets = tmp_path / "etc" / "qtickets" / "secrets"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o600}
    assert re.fullmatch(r"[0-9a-f]{64}", (secrets / "qtickets_pii_salt").read_text())
    assert stat.S_IMODE((tmp_path / "var/lib/qtickets").stat().st_mode) == 0o700


def test_a_dry_run_of_the_installation_writes_nothing(tmp_path: Path) -> None:
    said = install(tmp_path, "--dry-run")

    assert "+ copy the project" in said
    assert list(tmp_path.iterdir()) == []


def test_an_upgrade_keeps_configuration_secrets_and_the_previous_release(tmp_path: Path) -> None:
    source, root = tmp_path / "checkout", tmp_path / "root"
    shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns(".*", "__pycache__", "target"))
    install(root, source=source)
    prefix = root / "opt" / "qtickets"
    first = (prefix / "current").resolve()
    token = root / "etc" / "qtickets" / "secrets" / "qtickets_token"
    token.write_text("the token")
    env = root / "etc" / "qtickets" / "qtickets.env"
    env.write_text("ORG_NAME=Theatre\n")

    for number in (1, 2):
        (source / "pipelines" / "__init__.py").write_text(f'"""Version {number}."""\n')
        install(root, source=source)

    newest = (prefix / "current").resolve()
    kept = {path.name for path in (prefix / "releases").iterdir()}
    assert (token.read_text(), env.read_text()) == ("the token", "ORG_NAME=Theatre\n")
    assert '"""Version 2."""' in (newest / "pipelines" / "__init__.py").read_text()
    assert len(kept) == 2 and first.name not in kept

    install(root, "--rollback", source=source)
    assert "Version 1" in (prefix / "current" / "pipelines" / "__init__.py").read_text()
    install(root, "--rollback", source=source)
    assert (prefix / "current").resolve() == newest


def test_the_installation_has_help_and_refuses_unknown_options() -> None:
    said = script(DEPLOY / "install.sh", "--help")
    refused = script(DEPLOY / "install.sh", "--all")

    assert said.returncode == 0
    assert "--rollback" in said.stdout
    assert refused.returncode == 2
    assert "unknown option --all" in refused.stderr
