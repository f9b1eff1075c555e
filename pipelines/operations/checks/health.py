"""The result of `check`: one finding for each thing that was checked."""

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True)
class Check:
    """One finding. `values` are the same facts for a machine, in types of JSON."""

    name: str
    status: Status
    message: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """All findings, in the order in which an operator asks.

    `mode` is that of the configuration, `demo` or `live`; None if it is invalid.
    """

    checked_at: datetime
    mode: str | None
    checks: list[Check]

    @property
    def status(self) -> Status:
        """The worst status of all findings."""
        found = {check.status for check in self.checks}
        return "error" if "error" in found else "warning" if "warning" in found else "ok"

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "checked_at": self.checked_at.isoformat(timespec="seconds"),
            "mode": self.mode,
            "checks": [
                {
                    "name": check.name,
                    "status": check.status,
                    "message": check.message,
                    **check.values,
                }
                for check in self.checks
            ],
        }


def invalid_configuration(error: Exception) -> Health:
    """Return the only finding if the configuration is invalid: nothing else can be checked."""
    check = Check("configuration", "error", str(error))
    return Health(datetime.now(timezone.utc), None, [check])
