"""Runs in this process, and selections of the models that they build."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
def dashboard_only() -> Iterator[None]:
    """Make runs in this process build only the models of the dashboard, without their tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pipelines.run.build_marts",
            lambda *given, **named: build_marts(*given, *DASHBOARD_ONLY, **named),
        )
        yield
