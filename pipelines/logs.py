"""Logging: plain lines for people, or one JSON object per line for machines."""

import json
import logging
from datetime import datetime, timezone

_STANDARD = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Format a record as JSON: time (UTC), level, logger, message, and the fields of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        content |= {
            k: v for k, v in record.__dict__.items() if k not in _STANDARD and v is not None
        }
        if record.exc_info:
            content["exception"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False, default=str)


def set_up_logs(*, verbose: bool, as_json: bool, quiet: bool = False) -> None:
    """Log to stderr: warnings of the project, or one line per request, or errors only.

    Args:
        verbose: Log one line per request as well.
        as_json: Log JSON objects.
        quiet: Log errors only.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    # Their lines about pools and retries do not help an operator; their errors are raised.
    for name in ("urllib3", "clickhouse_connect", "clickhouse_driver"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in ("qtickets_source", "pipelines"):
        log = logging.getLogger(name)
        log.handlers, log.propagate = [handler], False
        log.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING)
