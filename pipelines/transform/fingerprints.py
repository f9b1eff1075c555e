"""Fingerprints of what the marts are built from: equal ones mean that a build gives equal marts."""

from datetime import date
from hashlib import sha256

from pipelines.configuration.environment import DBT_PROJECT, Settings
from pipelines.transform.dbt_build import model_variables
from pipelines.transform.project_state import project_digest
from pipelines.warehouse.server import Warehouse
from qtickets_source.rows.schema import TABLE_NAMES

# The end of a part's name: first and last block, level, and the number of its last mutation if any.
_MUTATION = r"_\d+_\d+_\d+_(\d+)$"


def build_fingerprint(settings: Settings, warehouse: Warehouse) -> str:
    """Return the fingerprint of the dbt project, the models' variables, and all tables.

    A mart that anybody else has replaced has another UUID; one that was filled or changed has
    another newest block or mutation. Merges change neither. Raw tables grow with each run, so only
    their UUIDs count: another one is another table, for instance from a backup.
    """
    with warehouse.connect(warehouse.transformer) as client:
        tables = client.query(
            "SELECT name, toString(uuid), changes FROM system.tables AS tables LEFT JOIN ("
            " SELECT database, table, (uniqExact(partition_id), max(max_block_number),"
            " max(toUInt64OrZero(extract(name, {mutation:String})))) AS changes"
            " FROM system.parts WHERE active AND database = {marts:String} GROUP BY ALL"
            ") AS parts ON tables.database = parts.database AND tables.name = parts.table"
            " WHERE tables.database IN ({marts:String}, {raw:String})"
            " AND NOT startsWith(name, 'meta_') AND NOT startsWith(name, '_dlt')"
            " AND NOT is_temporary ORDER BY tables.database, name",
            parameters={
                "marts": settings.clickhouse_db,
                "raw": settings.raw_db,
                "mutation": _MUTATION,
            },
        ).result_rows
    return _fingerprint(
        project_digest(DBT_PROJECT), sorted(model_variables(settings).items()), tables
    )


def data_fingerprint(settings: Settings, warehouse: Warehouse, today: date) -> str:
    """Return the fingerprint of the newest row of each raw table, and of the reporting date."""
    newest = " UNION ALL ".join(
        f"SELECT '{table}' AS name, max(_fetched_at) FROM `{settings.raw_db}`.{table}"  # noqa: S608
        for table in TABLE_NAMES
    )
    with warehouse.connect(warehouse.transformer) as client:
        rows = client.query(f"SELECT * FROM ({newest}) ORDER BY name").result_rows  # noqa: S608
    return _fingerprint(rows, today)


def _fingerprint(*content: object) -> str:
    return sha256(repr(content).encode()).hexdigest()[:32]
