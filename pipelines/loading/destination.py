"""dlt's ClickHouse destination, and what it has no setting for: a CA of one's own, and clusters.

The stock destination checks certificates against those of this machine only, and makes its tables
on the one server it talks to. On a cluster the raw tables are made on every replica with
`ON CLUSTER` and replicate themselves; they are `ReplicatedReplacingMergeTree`, which dlt does not
know. Rows, state and loads are dlt's own, as on any server.
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

from pipelines.warehouse.server import Warehouse


@configspec
class RawDestinationConfiguration(ClickHouseClientConfiguration):
    """The stock configuration, with how certificates are checked and the cluster."""

    verify: bool = True
    ca_cert: str | None = None
    cluster: str | None = None

    def on_resolved(self) -> None:
        """Hands the checking of certificates to the native protocol's driver."""
        if self.credentials and self.credentials.secure:
            query = dict(self.credentials.query or {})
            query["verify"] = str(self.verify).lower()
            if self.ca_cert:
                query["ca_certs"] = self.ca_cert
            self.credentials.query = query


class RawSqlClient(ClickHouseSqlClient):
    """Statements over the native protocol, files over HTTP."""

    config: RawDestinationConfiguration

    def create_dataset(self) -> None:
        """Makes the table by which dlt knows that it has been here."""
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
        """Inserts a file, as the stock client does, over a connection checked as configured."""
        database, table = self.make_qualified_table_name_path(table_name, quote=False)
        # On a connection of its own: an insert cannot be repeated, so it must not meet one that the
        # server closes at this moment, because nobody has used it for a while.
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
    """Makes and fills the raw tables."""

    def __init__(
        self,
        schema: Schema,
        config: RawDestinationConfiguration,
        capabilities: DestinationCapabilitiesContext,
    ) -> None:
        super().__init__(schema, config, capabilities)
        stock = self.sql_client
        self.cluster = config.cluster
        self.sql_client: RawSqlClient = RawSqlClient(
            stock.dataset_name,
            stock.staging_dataset_name,
            stock.known_table_names,
            config.credentials,
            capabilities,
            config,
        )

    def _make_create_table(self, qualified_name: str, table: PreparedTableSchema) -> str:
        begun = super()._make_create_table(qualified_name, table)
        return _clustered(begun, qualified_name, self.cluster)

    def _get_table_update_sql(
        self, table_name: str, new_columns: Sequence[TColumnSchema], generate_alter: bool
    ) -> list[str]:
        # Columns that are added later reach the other replicas by replication.
        statements = super()._get_table_update_sql(table_name, new_columns, generate_alter)
        return [_clustered(statement, None, self.cluster) for statement in statements]


def _clustered(statement: str, made: str | None, cluster: str | None) -> str:
    """A CREATE TABLE of the table `made` for every replica of a cluster, if there is one."""
    if not cluster:
        return statement
    if made:
        statement = statement.replace(made, f"{made} ON CLUSTER `{cluster}`", 1)
    return re.sub(r"\nENGINE = (?=\w*MergeTree)(?!Replicated)", r"\nENGINE = Replicated", statement)


class raw_destination(clickhouse):
    """dlt's `clickhouse` destination with `verify`, `ca_cert` and `cluster`."""

    # dlt looks here for the signature whose defaults are not arguments.
    __orig_base__ = clickhouse
    spec = RawDestinationConfiguration

    @property
    def destination_type(self) -> str:
        """dlt's own: its state is the same, whichever of the two wrote it."""
        return "dlt.destinations.clickhouse"

    @property
    def client_class(self) -> type[RawClient]:
        return RawClient


def credentials_of(warehouse: Warehouse) -> dict[str, Any]:
    """How dlt's destination reaches the raw tables, as their loader."""
    return {
        "host": warehouse.host,
        "port": warehouse.native_port,
        "http_port": warehouse.port,
        "username": warehouse.loader.user,
        "password": warehouse.loader.password,
        "database": warehouse.raw_db,
        "secure": int(warehouse.secure),
    }
