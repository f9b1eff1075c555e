"""The results: as tables in Markdown, and as JSON."""

import json
import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .cost import Cost
from .order_file import SEED

PACKAGES = ("dlt", "dbt-core", "dbt-clickhouse", "clickhouse-connect", "pyarrow", "msgspec")
ENGINE = "chdb-core"


@dataclass(frozen=True)
class Measurement:
    """A measured cost.

    Attributes:
        suite: Name of the suite.
        what: What was measured.
        size: Number of orders.
        cost: The best repetition.
        ideal_seconds: Time of a perfect implementation, if known.
    """

    suite: str
    what: str
    size: int
    cost: Cost
    ideal_seconds: float | None = None


@dataclass(frozen=True)
class Ratio:
    """A ratio or another figure with its target, such as `≥ 4`; without a target it is empty."""

    suite: str
    what: str
    value: float
    target: str


@dataclass(frozen=True)
class Growth:
    """The growth of a cost with size.

    `exponent` is the slope between the logarithms: 1 is proportional, 0 is constant.
    """

    suite: str
    what: str
    sizes: list[int]
    exponent: float


@dataclass
class Results:
    """The results of one or more suites."""

    measurements: list[Measurement] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)

    def extend(self, other: "Results") -> None:
        self.measurements += other.measurements
        self.ratios += other.ratios
        self.growths += other.growths


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return the slope of the least-squares line through (log size, log cost)."""
    x, y = [math.log(size) for size in sizes], [math.log(max(cost, 1e-9)) for cost in costs]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    spread = sum((a - mean_x) ** 2 for a in x)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread


def environment() -> dict[str, Any]:
    """Return the machine and the versions of the software."""
    return {
        "at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in (*PACKAGES, ENGINE)},
        "seed": SEED,
    }


def _commit() -> str:
    result = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return result.stdout.strip()


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def write(results: Results, machine: dict[str, Any], folder: Path) -> Path:
    """Write `latest.md` and `latest.json`, and return the path of `latest.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(
        json.dumps({"machine": machine, **asdict(results)}, indent=1, ensure_ascii=False) + "\n"
    )
    path = folder / "latest.md"
    path.write_text(markdown(results, machine))
    return path


def markdown(results: Results, machine: dict[str, Any]) -> str:
    """Return the results as tables in Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    parts = [
        f"# Benchmarks, {machine['at']}\n",
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB,"
        f" {machine['system']}, Python {machine['python']}; {versions}; commit"
        f" {machine['commit']}; seed {machine['seed']}; load average {machine['load_average']}"
        " at the start.\n",
    ]
    if results.ratios:
        parts.append("| suite | ratio | value | target |\n| --- | --- | ---: | --- |")
        parts += [f"| {r.suite} | {r.what} | {r.value:.2f} | {r.target} |" for r in results.ratios]
        parts.append("")
    if results.growths:
        parts.append("| suite | growth | sizes | exponent |\n| --- | --- | --- | ---: |")
        parts += [
            f"| {g.suite} | {g.what} | {', '.join(f'{s:,}' for s in g.sizes)} | {g.exponent:.2f} |"
            for g in results.growths
        ]
        parts.append("")
    parts.append(
        "| suite | what | orders | seconds | CPU s | ClickHouse CPU s | rows/s | peak MB"
        " | share of ideal | counters |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    )
    parts += [_line(measurement) for measurement in results.measurements]
    return "\n".join(parts) + "\n"


def _line(measurement: Measurement) -> str:
    cost, ideal = measurement.cost, measurement.ideal_seconds
    cells = [
        measurement.suite,
        measurement.what,
        f"{measurement.size:,}",
        f"{cost.seconds:.2f}",
        f"{cost.cpu_seconds:.2f}",
        f"{cost.server_cpu_seconds:.2f}" if cost.server_cpu_seconds else "",
        f"{cost.rows / cost.seconds:,.0f}" if cost.rows else "",
        f"{cost.peak_bytes / 1e6:,.0f}" if cost.peak_bytes else "",
        f"{ideal / cost.seconds:.0%}" if ideal else "",
        ", ".join(f"{name} {number:,}" for name, number in cost.counts.items()),
    ]
    return f"| {' | '.join(cells)} |"
