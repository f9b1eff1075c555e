"""What making rows from answers needs besides the answers."""

from dataclasses import dataclass, field

from ..observations import Findings


@dataclass(frozen=True)
class RowContext:
    """Salt, allowed fields and findings, passed to every function that makes rows.

    Attributes:
        salt: Key of the hashes of buyers and barcodes.
        allowed_fields: `table.field` of unknown fields to load although they may be personal.
        findings: Collects what was unexpected.
    """

    salt: bytes
    allowed_fields: frozenset[str] = frozenset()
    findings: Findings = field(default_factory=Findings)
