"""docs/commands.md and docs/configuration.md are up to date with the code."""

from collections import Counter
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from pipelines.commands.command import Command
from pipelines.commands.program import COMMANDS, app
from pipelines.configuration.environment import Settings
from tests.support.paths import PROJECT
from tools.reference import grouped_fields, reference

DOCUMENTS = reference()
ALL = [command for commands in COMMANDS.values() for command in commands]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_document_is_the_one_that_the_code_makes(path: Path) -> None:
    assert path.read_text() == DOCUMENTS[path], "stale: run `make reference`"


def test_every_variable_is_described_under_one_heading() -> None:
    listed = Counter(name for names in grouped_fields().values() for name in names)

    assert listed == Counter(list(Settings.model_fields))
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.rstrip().endswith("."), name


def test_secrets_are_marked() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text()

    for name in ("QTICKETS_TOKEN", "QTICKETS_PII_SALT", "CLICKHOUSE_PASSWORD"):
        assert f"| `{name}` | secret |" in text
    assert "| `CLICKHOUSE_USER` | text | `default` |" in text


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name)
def test_every_command_and_option_has_a_description_and_every_command_examples(
    command: Command,
) -> None:
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)

    assert command.help.partition("\n")[0].endswith(".")
    assert command.examples
    for arguments in command.examples:
        named = next((word for word in arguments.split() if not word.startswith("-")), "run")
        assert named == command.name, arguments
    for parameter in program.commands[command.name].params:
        assert getattr(parameter, "help", None), parameter.name
