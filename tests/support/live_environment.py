"""Environment variables of live runs on a ClickHouse server that is given by its address."""

import os
from pathlib import Path

from local_clickhouse import LocalServer
from tests.support.clickhouse import DATABASE


def clickhouse_variables(server: LocalServer) -> dict[str, str]:
    """Return the address and the logins of a server, as for a remote one."""
    loader, transformer = server.logins["loader"], server.logins["transformer"]
    return {
        "CLICKHOUSE_HOST": server.host,
        "CLICKHOUSE_PORT": str(server.http_port),
        "CLICKHOUSE_NATIVE_PORT": str(server.native_port),
        "CLICKHOUSE_USER": loader.user,
        "CLICKHOUSE_PASSWORD": loader.password,
        "CLICKHOUSE_TRANSFORM_USER": transformer.user,
        "CLICKHOUSE_TRANSFORM_PASSWORD": transformer.password,
        "CLICKHOUSE_DB": DATABASE,
    }


def service_variables(base_url: str, token: str, home: Path) -> dict[str, str]:
    """Return the variables of a run that loads the full history from a service."""
    return {
        "QTICKETS_TOKEN": token,
        "QTICKETS_BASE_URL": base_url,
        "QTICKETS_HOME": str(home),
        "QTICKETS_PII_SALT": "a salt for tests",
        "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
    }


def live_environment(
    server: LocalServer, base_url: str, home: Path, report_now: str
) -> dict[str, str]:
    """Return the full environment of a run, on a machine in a time zone far from UTC."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home / "user"),
        "TZ": "Asia/Vladivostok",
        **service_variables(base_url, "sandbox-token", home),
        "QTICKETS_RETRY_SECONDS": "1",
        **clickhouse_variables(server),
        "REPORT_NOW": report_now,
    }
