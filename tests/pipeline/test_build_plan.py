"""A run without new rows builds no marts, unless something else has changed."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.errors import ServiceError
from pipelines.run import run
from pipelines.transform.build_plan import current_state
from pipelines.warehouse.server import open_warehouse
from sandbox import Fault, serve
from tests.support.clickhouse import Marts
from tests.support.runs import Runner, dashboard_only
from tests.support.worlds import report_now, world_until

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")


def test_marts_are_rebuilt_unless_nothing_has_changed(
    settings_for: Callable[..., Settings], run_once: Runner, marts: Marts
) -> None:
    world = world_until(NOW)
    with serve(world) as server, dashboard_only():
        settings = settings_for(server.url, report_now=report_now(world))
        first = run_once(settings)
        assert first.marts.models and first.rows
        built = marts.snapshot()

        quiet = run_once(settings)
        assert (quiet.rows, quiet.marts.models) == (0, 0)
        assert quiet.marts_state == first.marts_state
        quiet = run_once(settings)
        assert quiet.marts.models == 0, "a run without a build keeps the state"

        with open_warehouse(settings) as warehouse:
            assert current_state(settings, warehouse)
            stricter = settings.model_copy(update={"qtickets_stale_hours": 2})
            assert not current_state(stricter, warehouse), (
                "the freshness view depends on the setting"
            )
            abroad = settings.model_copy(update={"report_tz": "Asia/Vladivostok"})
            assert not current_state(abroad, warehouse), "dates depend on the time zone"

        marts.rows("TRUNCATE TABLE zakaz.fact_qtickets_sales_daily")
        repaired = run_once(settings)
        assert repaired.rows == 0 and repaired.marts.models, "a mart was changed outside of a run"
        assert marts.snapshot() == built

        world.sell(tickets=2, price=500)
        report = run(settings, Console(quiet=True), skip_marts=True)
        assert report.rows and not report.marts.models
        late = run_once(settings)
        assert late.rows == 0 and late.marts.models, (
            "the rows of the previous run are not in the marts"
        )

        server.faults.append(Fault("/orders", kind="status", status=403, body="json"))
        with pytest.raises(ServiceError):
            run_once(settings)
        server.faults.clear()
        assert run_once(settings).marts.models, "the previous run failed"

        marts.rows(
            "ALTER TABLE zakaz.meta_job_runs UPDATE metrics = replaceRegexpOne(metrics,"
            ' \'"built_at": "[^"]+"\', \'"built_at": "'
            f"{datetime.now(timezone.utc) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}+00:00"
            "\"') WHERE true SETTINGS mutations_sync = 1"
        )
        assert run_once(settings).marts.models, (
            "the state is an hour old, and shows may have ended since"
        )
