"""`python -m bi`: write the dashboards for BI tools, and the list of their measures."""

from pathlib import Path
from typing import Annotated

import typer

from bi import datalens, grants, measures, page, superset
from bi.definition import LANGUAGES, PROJECT, definition
from bi.options import Options

WORKBOOK = PROJECT / "bi" / "datalens-workbook.json"
PACK = PROJECT / "bi" / "superset.zip"
MEASURES = PROJECT / "docs" / "measures.md"
PAGE = PROJECT / "dashboard" / "script" / "measures.js"
DEFAULTS = Options()

Host = Annotated[str, typer.Option(help="Host of ClickHouse.")]
Port = Annotated[int, typer.Option(help="HTTP port of ClickHouse.")]
Secure = Annotated[bool, typer.Option(help="Connect with TLS.")]
User = Annotated[str, typer.Option(help="User of ClickHouse.")]
Database = Annotated[str, typer.Option(help="CLICKHOUSE_DB.")]
Language = Annotated[str, typer.Option(help="ru or en.")]
Currency = Annotated[str, typer.Option(help="Selected at first.")]
Output = Annotated[Path, typer.Option(help="File to write.")]

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.command("datalens")
def write_workbook(
    host: Host = DEFAULTS.host,
    port: Port = DEFAULTS.port,
    secure: Secure = DEFAULTS.secure,
    user: User = DEFAULTS.user,
    database: Database = DEFAULTS.database,
    language: Language = DEFAULTS.language,
    currency: Currency = DEFAULTS.currency,
    report_tz: Annotated[str, typer.Option(help="REPORT_TZ.")] = DEFAULTS.report_tz,
    output: Output = WORKBOOK,
) -> None:
    """Write the DataLens workbook. The password is asked for by DataLens at the import."""
    _check_language(language)
    options = Options(
        host=host,
        port=port,
        secure=secure,
        user=user,
        database=database,
        language=language,
        currency=currency,
        report_tz=report_tz,
    )
    _write(output, datalens.workbook(definition(), options))


@app.command("superset")
def write_pack(
    host: Host = DEFAULTS.host,
    port: Port = DEFAULTS.port,
    secure: Secure = DEFAULTS.secure,
    user: User = DEFAULTS.user,
    database: Database = DEFAULTS.database,
    language: Language = DEFAULTS.language,
    currency: Currency = DEFAULTS.currency,
    assets: Annotated[
        bool, typer.Option("--assets", help="For /api/v1/assets/import/, which also updates.")
    ] = False,
    output: Output = PACK,
) -> None:
    """Write the Superset pack. The password is asked for by Superset at the import."""
    _check_language(language)
    options = Options(
        host=host,
        port=port,
        secure=secure,
        user=user,
        database=database,
        language=language,
        currency=currency,
    )
    _write(output, superset.pack(definition(), options, assets=assets))


@app.command("measures")
def write_measures(
    output: Output = MEASURES,
) -> None:
    """Write docs/measures.md."""
    _write(output, measures.document(definition()))


@app.command("page")
def write_page(
    output: Output = PAGE,
) -> None:
    """Write the explanations of the page."""
    _write(output, page.script(definition()))


@app.command("grants")
def print_grants(
    database: Database = DEFAULTS.database,
    role: Annotated[str, typer.Option(help="Role of the dashboards' user.")] = "dashboards",
) -> None:
    """Print the SQL of a role that reads what the dashboards read, and nothing else."""
    for statement in grants.statements(definition(), database, role):
        typer.echo(statement)


def _check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise typer.BadParameter(f"use one of: {', '.join(LANGUAGES)}", param_hint="--language")


def _write(path: Path, content: str | bytes) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    typer.echo(f"Wrote {path}")


if __name__ == "__main__":
    app(prog_name="python -m bi")
