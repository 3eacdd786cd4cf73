"""The documents are true: files they name exist, commands and options they show exist, Python names too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import modelwright
from graphs.cli.app import app
from tests.support.command import ROOT

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/coverage.md",
    "docs/benchmarks.md",
    "docs/forking.md",
    "docs/durability.md",
    "docs/studio.md",
]
FOLDERS = ("state/", "tools/", "nodes/", "graphs/", "tests/", "docs/", "notebooks/", "benchmarks/")


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_named_in_documents_exist(name: str) -> None:
    """Every path in backticks or links lies in the tree."""
    named = re.findall(r"`([\w./-]+)`", text_of(name)) + re.findall(r"\]\(([\w./-]+)\)", text_of(name))
    paths = [path for path in named if path.startswith(FOLDERS) and "NAME" not in path]
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing


def commands() -> dict[str, set[str]]:
    """Command → its options, as the command line knows them."""
    import typer

    group = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in group.commands.items()  # type: ignore[attr-defined]  # a typer app with commands is a group
    }


def test_commands_and_options_of_the_readme_exist() -> None:
    """Each `modelwright …` line of the README is a command with options that exist."""
    known = commands()
    lines = re.findall(r"\$ modelwright ([^\n#]+)", text_of("README.md"))
    assert lines
    for line in lines:
        command, *words = line.split()
        assert command in known, line
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in known[command], line


def test_every_command_is_in_the_readme() -> None:
    """No command is a secret."""
    assert [name for name in commands() if f"`{name}`" not in text_of("README.md")] == []


def test_python_names_of_the_readme_exist() -> None:
    """What the README takes from the package is there."""
    for name in set(re.findall(r"modelwright\.(\w+)", text_of("README.md"))) - {"py"}:
        assert name in modelwright.__all__, name


def test_make_targets_of_the_documents_exist() -> None:
    """Targets that documents name are in the Makefile."""
    makefile = text_of("Makefile")
    for document in DOCUMENTS:
        for target in re.findall(r"`make ([\w-]+)`", text_of(document)):
            assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), (document, target)


def test_no_lock_file_with_addresses_and_no_address_in_constraints() -> None:
    """Versions are pinned by name only."""
    assert not (ROOT / "uv.lock").exists()
    assert "://" not in text_of("constraints.txt")
    assert all(re.fullmatch(r"[\w.-]+==[\w.+!-]+", line) for line in text_of("constraints.txt").split())


def test_the_wheel_of_this_checkout_names_no_machine_path() -> None:
    """No document holds an absolute path of somebody's machine."""
    home = str(Path.home())
    assert [name for name in DOCUMENTS if home in text_of(name) and home != "/"] == []
