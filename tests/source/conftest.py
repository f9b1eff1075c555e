"""Fixtures for tests of the source."""

from types import SimpleNamespace

import pytest

from tests.support.retry_clock import RetryClock


@pytest.fixture
def retry_clock(monkeypatch: pytest.MonkeyPatch) -> RetryClock:
    """Simulate the time that retries wait and measure; requests and pauses take real time."""
    clock = RetryClock()
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=clock.sleep))
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=clock.monotonic))
    return clock
