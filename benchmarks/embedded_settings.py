"""Settings of a benchmark: an embedded ClickHouse, and nothing from the environment."""

from pathlib import Path
from typing import Any

from pipelines.configuration.environment import Settings


def embedded_settings(home: Path, **given: Any) -> Settings:
    """Return settings with all state in `home`; `given` overrides fields of `Settings`."""
    everything: dict[str, Any] = {
        "qtickets_home": home.absolute(),
        "qtickets_token": "benchmark-token",
        "clickhouse_host": None,
        **given,
    }
    return Settings(**everything)
