"""Settings of a benchmark: an embedded ClickHouse in a folder, nothing from outside."""

from pathlib import Path
from typing import Any

from pipelines.configuration.environment import Settings


def settings_of(home: Path, **given: Any) -> Settings:
    """Settings whose state is all in `home`; `given` are fields of `Settings`."""
    everything: dict[str, Any] = {
        "qtickets_home": home.absolute(),
        "qtickets_token": "benchmark-token",
        "clickhouse_host": None,
        **given,
    }
    return Settings(**everything)
