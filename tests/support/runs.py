"""Runs in this process, and selections of the models that they build."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from pipelines.configuration.environment import Settings
from pipelines.run_report import RunReport
from pipelines.transform.dbt_build import build_marts

Runner = Callable[[Settings], RunReport]

# Flags for `dbt build` without data tests, which take half of its time and change no model.
MODELS_ONLY = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
# The half of the models that the dashboard and `check` read.
DASHBOARD_ONLY = (
    *MODELS_ONLY,
    *("--select", "+mv_qtickets_sales_latest", "+v_qtickets_sales_dashboard", "+dim_shows"),
    *("+v_qtickets_freshness", "+fact_qtickets_sales_utm_daily", "+fact_qtickets_ledger_daily"),
)


@contextmanager
def building(*flags: str) -> Iterator[None]:
    """Make every build in this process have these flags of `dbt build`."""
    with pytest.MonkeyPatch.context() as patch:
        # `move` and `restore` import it when they need it.
        for module in ("pipelines.run", "pipelines.transform.dbt_build"):
            patch.setattr(
                f"{module}.build_marts",
                lambda *given, **named: build_marts(*given, *flags, **named),
            )
        yield


def dashboard_only() -> AbstractContextManager[None]:
    """Make builds in this process build only the models of the dashboard, without their tests."""
    return building(*DASHBOARD_ONLY)
