"""dlt's ClickHouse destination with two additions: a private CA, and clusters.

dlt's own destination verifies certificates only with the CAs of this machine, and creates tables
only on the server that it is connected to. On a cluster this one creates the raw tables on every
replica (`ON CLUSTER`) with the engine `ReplicatedReplacingMergeTree`, which dlt does not support.
Everything else is dlt's own behaviour.
"""

import re
from collections.abc import Sequence
from typing import Any

from clickhouse_connect.driver import create_client
from clickhouse_connect.driver.summary import QuerySummary
from clickhouse_connect.driver.tools import insert_file
from dlt.common.configuration import configspec
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.schema import Schema
from dlt.common.schema.typing import TColumnSchema
from dlt.destinations import clickhouse
from dlt.destinations.impl.clickhouse.clickhouse import ClickHouseClient
from dlt.destinations.impl.clickhouse.configuration import ClickHouseClientConfiguration
from dlt.destinations.impl.clickhouse.sql_client import ClickHouseSqlClient

from pipelines.warehouse.server import CLUSTER_SETTINGS, Warehouse


@configspec
class RawDestinationConfiguration(ClickHouseClientConfiguration):
    """dlt's configuration with `verify`, `ca_cert` and `cluster`."""

    verify: bool = True
    ca_cert: str | None = None
    cluster: str | None = None

    def on_resolved(self) -> None:
        """Pass the verification of certificates, and settings, to the native protocol's driver."""
        if not self.credentials:
            return
        query = dict(self.credentials.query or {})
        if self.credentials.secure:
            query["verify"] = str(self.verify).lower()
            if self.ca_cert:
                query["ca_certs"] = self.ca_cert
        if self.cluster:
            query |= CLUSTER_SETTINGS
        self.credentials.query = query


class RawSqlClient(ClickHouseSqlClient):
    """Runs statements over the native protocol, and inserts files over HTTP."""

    config: RawDestinationConfiguration

    def create_dataset(self) -> None:
        """Create the sentinel table by which dlt recognizes its dataset."""
        name = self.make_qualified_table_name(self.config.dataset_sentinel_table_name)
        self.execute_sql(
            _clustered(
                f"CREATE TABLE {name}\n(_dlt_id String)\nENGINE = MergeTree\nPRIMARY KEY _dlt_id"
                "\nCOMMENT 'internal dlt sentinel table'",
                name,
                self.config.cluster,
            )
        )

    def insert_file(
        self,
        file_path: str,
        table_name: str,
        file_format: str,
        compression: str,
    ) -> QuerySummary:
        """Insert a file as dlt's client does, but over a connection verified as configured."""
        database, table = self.make_qualified_table_name_path(table_name, quote=False)
        # A new connection: the server may close an idle one at this moment, and an insert cannot
        # be retried.
        with create_client(
            host=self.credentials.host,
            port=self.credentials.http_port,
            username=self.credentials.username,
            password=self.credentials.password or "",
            secure=bool(self.credentials.secure),
            verify=self.config.verify,
            ca_cert=self.config.ca_cert,
            dedicated_pool=True,
        ) as client:
            return insert_file(
                client,
                table,
                file_path,
                fmt=file_format,
                database=database,
                settings={
                    "date_time_input_format": "best_effort",
                    "select_sequential_consistency": self.config.select_sequential_consistency,
                },
                compression=compression,
            )


class RawClient(ClickHouseClient):
    """Creates and fills the raw tables."""

    def __init__(
        self,
        schema: Schema,
        config: RawDestinationConfiguration,
        capabilities: DestinationCapabilitiesContext,
    ) -> None:
        super().__init__(schema, config, capabilities)
        default = self.sql_client
        self.cluster = config.cluster
        self.sql_client: RawSqlClient = RawSqlClient(
            default.dataset_name,
            default.staging_dataset_name,
            default.known_table_names,
            config.credentials,
            capabilities,
            config,
        )

    def _make_create_table(self, qualified_name: str, table: PreparedTableSchema) -> str:
        statement = super()._make_create_table(qualified_name, table)
        return _clustered(statement, qualified_name, self.cluster)

    def _get_table_update_sql(
        self, table_name: str, new_columns: Sequence[TColumnSchema], generate_alter: bool
    ) -> list[str]:
        # ALTER TABLE is replicated by the tables themselves.
        statements = super()._get_table_update_sql(table_name, new_columns, generate_alter)
        return [_clustered(statement, None, self.cluster) for statement in statements]


def _clustered(statement: str, created: str | None, cluster: str | None) -> str:
    """Return a CREATE TABLE of the table `created` for every replica, if there is a cluster."""
    if not cluster:
        return statement
    if created:
        statement = statement.replace(created, f"{created} ON CLUSTER `{cluster}`", 1)
    return re.sub(r"\nENGINE = (?=\w*MergeTree)(?!Replicated)", r"\nENGINE = Replicated", statement)


class raw_destination(clickhouse):
    """dlt's `clickhouse` destination with `verify`, `ca_cert` and `cluster`."""

    # dlt looks here for the signature, to tell defaults from arguments.
    __orig_base__ = clickhouse
    spec = RawDestinationConfiguration

    @property
    def destination_type(self) -> str:
        """dlt's own type, so that both destinations can continue each other's state."""
        return "dlt.destinations.clickhouse"

    @property
    def client_class(self) -> type[RawClient]:
        return RawClient


def credentials_of(warehouse: Warehouse) -> dict[str, Any]:
    """Return the credentials with which dlt loads the raw tables."""
    return {
        "host": warehouse.host,
        "port": warehouse.native_port,
        "http_port": warehouse.port,
        "username": warehouse.loader.user,
        "password": warehouse.loader.password,
        "database": warehouse.raw_db,
        "secure": int(warehouse.secure),
    }
