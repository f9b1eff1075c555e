"""The grants of a role that reads what the dashboards read, and nothing else."""

import re
from collections.abc import Iterator

from bi.definition import PROJECT, Definition, column_types

_VIEWS = PROJECT / "dbt_project" / "models" / "dashboard"
_REFERENCE = re.compile(r"ref\((?:var\(.*?\), )?'(\w+)'\)")


def readable(definition: Definition) -> list[str]:
    """Return the tables and views that the dashboards read, sorted.

    A view is read with the rights of its reader, so what it reads belongs to them.
    """
    found: set[str] = set()
    missing = set(definition.tables)
    while missing:
        found |= missing
        read = {source for name in missing for source in _sources_of_view(name)}
        missing = read - found
    return sorted(found)


def statements(definition: Definition, database: str, role: str) -> Iterator[str]:
    """Yield the SQL that creates the role, or takes from it what it should not read any more."""
    yield f"CREATE ROLE IF NOT EXISTS {role};"
    yield f"REVOKE SELECT ON {database}.* FROM {role};"  # noqa: S608 (no query)
    for name in readable(definition):
        yield f"GRANT SELECT ON {database}.{name} TO {role};"


def _sources_of_view(name: str) -> list[str]:
    path = _VIEWS / f"{name}.sql"
    if name not in column_types() or not path.exists():
        return []
    return _REFERENCE.findall(path.read_text())
