"""The documents are true: files they name exist, commands and options they show exist, Python names too."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import modelwright
from graphs.cli.app import app
from state.settings import Settings
from tests.support.command import ROOT
from tools.intake.options import option
from tools.recipes.catalogue import RECIPES

DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/coverage.md",
    "docs/benchmarks.md",
    "docs/forking.md",
    "docs/durability.md",
    "docs/studio.md",
    "docs/search.md",
    "docs/recipes.md",
    "docs/targets.md",
    "docs/ensembles.md",
    "docs/leaks.md",
    "docs/security.md",
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


def options() -> set[str]:
    """Every option of every command, and those of the command itself."""
    import typer

    root = typer.main.get_command(app)
    return {"--help"}.union(*commands().values(), *(parameter.opts for parameter in root.params))


def test_options_named_in_texts_of_the_code_exist() -> None:
    """Each `--word` in a text of ours is an option of a command, or one that a program of a release declares."""
    named: dict[str, set[str]] = {}
    declared = set()
    for path in [path for folder in FOLDERS[:4] for path in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
                declared |= {one.value for one in node.args if isinstance(one, ast.Constant)}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # Neither `--{flag}` and `--no-{flag}`, nor names of CSS: `var(--ink)`, `--ink:`.
                for word in re.findall(r"(?<![\w(-])--[a-z][a-z-]*(?<!-)(?![\w:-])", node.value):
                    named.setdefault(word, set()).add(path.relative_to(ROOT).as_posix())
    known = options() | declared
    assert named["--target"]
    assert {word: files for word, files in named.items() if word not in known} == {}


def test_settings_in_messages_are_named_as_a_person_gives_them() -> None:
    """By the option of `build`; a setting without one by its own name."""
    known = commands()["build"] | {"data"}
    assert [name for name in Settings.model_fields if option(name) not in known | {name}] == []
    assert [
        name for name in Settings.model_fields if option(name) == name and "--" + name.replace("_", "-") in known
    ] == []


def test_every_recipe_is_in_the_table() -> None:
    """The table of recipes has a row for each of the catalogue, and no other ones."""
    rows = re.findall(r"^\| (`.*?) \|", text_of("docs/recipes.md"), flags=re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`([\w-]+)`", row)) == sorted(RECIPES)


def test_every_extra_is_in_the_readme() -> None:
    """What `pip install "modelwright[…]"` can add is told."""
    found = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    extras = text_of("README.md").partition("Extras add")[2].partition("\n\n")[0]
    assert [name for name in found if f"`{name}`" not in extras] == []


def test_coverage_says_which_tests_are_left_out() -> None:
    """A file whose every test is of the campaign is marked so, and no other one."""
    page = text_of("docs/coverage.md")
    for name in set(re.findall(r"`(tests/[\w/]+\.py)`", page)):
        marked = set(re.findall(rf"`{name}`( \(campaign\))?", page))
        assert marked == {" (campaign)" if _is_all_campaign(name) else ""}, name


def _is_all_campaign(name: str) -> bool:
    body = ast.parse(text_of(name)).body
    whole = [one for one in body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "pytestmark"]
    tests = [one for one in body if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")]
    return any("mark.campaign" in ast.unparse(one) for one in whole) or (
        bool(tests)
        and all(any(ast.unparse(mark) == "pytest.mark.campaign" for mark in one.decorator_list) for one in tests)
    )
