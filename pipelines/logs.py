"""Log lines: for people, or one JSON object a line for machines."""

import json
import logging
from datetime import datetime, timezone

_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """A record as JSON: time (UTC), level, logger, message, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        facts |= {k: v for k, v in record.__dict__.items() if k not in _STANDARD and v is not None}
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False, default=str)


def set_up_logs(*, verbose: bool, as_json: bool, quiet: bool = False) -> None:
    """Warnings of the project on stderr; with `verbose` one line a request, `quiet` errors only."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    # What these say about their pools and retries is not for an operator; errors are raised.
    for name in ("urllib3", "clickhouse_connect", "clickhouse_driver"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in ("qtickets_source", "pipelines"):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)
