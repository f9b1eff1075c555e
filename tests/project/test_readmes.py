"""README.md and README.ru.md have the same structure, commands and links, and are short."""

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.paths import PROJECT

ENGLISH = (PROJECT / "README.md").read_text()
RUSSIAN = (PROJECT / "README.ru.md").read_text()
BOTH = pytest.mark.parametrize("text", [ENGLISH, RUSSIAN], ids=["README.md", "README.ru.md"])

PICTURES = {"docs/images/dashboard-en.png", "docs/images/dashboard.png"}
"""The page in English and in Russian."""

REFERENCES = {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *(f"docs/{name}.md" for name in ("commands", "configuration", "runbook", "security")),
    *(f"docs/{name}.md" for name in ("clickhouse", "datalens", "decisions", "performance")),
}


def code_blocks(text: str) -> list[tuple[str, list[str]]]:
    """Return (language, lines) of each code block, without comments, which are translated."""
    blocks = re.findall(r"```(\w*)\n(.*?)```", text, re.S)
    return [
        (language, [re.sub(r"\s*# .*", "", line) for line in code.splitlines()])
        for language, code in blocks
    ]


def without_blocks(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.S)


def headings(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"^(#+) ", without_blocks(text), re.M)]


def links(text: str) -> Counter[str]:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))
    return Counter(
        link
        for link in targets
        if link not in PICTURES and not re.match(r"README(\.ru)?\.md$", link)
    )


def inline_code(text: str) -> Counter[str]:
    return Counter(re.findall(r"`([^`\n]+)`", without_blocks(text)))


def test_both_have_the_same_headings() -> None:
    assert headings(ENGLISH) == headings(RUSSIAN)
    assert len(headings(ENGLISH)) > 5


def test_both_have_the_same_code_blocks() -> None:
    assert code_blocks(ENGLISH) == code_blocks(RUSSIAN)
    assert len(code_blocks(ENGLISH)) > 4


def test_both_have_the_same_links() -> None:
    assert links(ENGLISH) == links(RUSSIAN)
    assert set(links(ENGLISH)) >= REFERENCES


def test_both_name_the_same_commands_tables_and_variables() -> None:
    assert inline_code(ENGLISH) == inline_code(RUSSIAN)


def test_both_have_the_same_tables() -> None:
    rows = [len(re.findall(r"^\|", text, re.M)) for text in (ENGLISH, RUSSIAN)]
    assert rows[0] == rows[1] > 10


def test_each_links_to_the_other_and_shows_the_page_in_its_language() -> None:
    assert "](README.ru.md)" in ENGLISH and "](docs/images/dashboard-en.png)" in ENGLISH
    assert "](README.md)" in RUSSIAN and "](docs/images/dashboard.png)" in RUSSIAN


@BOTH
def test_a_readme_fits_three_screens(text: str) -> None:
    assert len(text.splitlines()) <= 130
    assert max(len(line) for line in text.splitlines() if not line.startswith(("|", "-"))) <= 110


@BOTH
def test_a_readme_names_only_make_targets_that_exist(text: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", Path(PROJECT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"\bmake ([a-z-]+)", text))

    assert named >= {"run", "test", "test-fast", "lint"}
    assert named <= targets
