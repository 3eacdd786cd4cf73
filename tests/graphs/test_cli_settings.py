"""Where settings come from: options win over MODELWRIGHT_ variables, these over TOML; what is unknown is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from graphs.cli.gathering import gather_settings
from state.settings import Settings
from tests.support.command import Finished, modelwright
from tests.support.inprocess import command_here

TOML = "target = 'from-file'\ntime_limit = '3m'\nseed = 1\nreview = ['plan']\n[experts]\nengineer = 'builtin'\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(TOML)
    return path


def gathered(given: dict[str, Any], config: Path | None = None) -> Settings:
    return gather_settings(given, config)


def test_the_file_fills_what_nobody_else_says(file: Path) -> None:
    """Every field may stand in a file; the rest keeps its default."""
    one = gathered({}, file)
    assert (one.target, one.time_limit, one.seed, one.review) == ("from-file", 180.0, 1, ["plan"])
    assert one.experts == {"engineer": "builtin"}
    assert one.folds == Settings().folds


def test_variables_win_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MODELWRIGHT_<SETTING>, lists with commas, experts as ROLE=EXPERT; an empty variable says nothing."""
    monkeypatch.setenv("MODELWRIGHT_TARGET", "from-environment")
    monkeypatch.setenv("MODELWRIGHT_REVIEW", "plan, release")
    monkeypatch.setenv("MODELWRIGHT_EXPERTS", "reviewer=openai:small")
    monkeypatch.setenv("MODELWRIGHT_GROUP_COLUMNS", '["a, b"]')
    monkeypatch.setenv("MODELWRIGHT_SEED", "")
    one = gathered({}, file)
    assert (one.target, one.time_limit, one.seed) == ("from-environment", 180.0, 1)
    assert one.review == ["plan", "release"]
    assert one.experts == {"reviewer": "openai:small"}
    assert one.group_columns == ["a, b"]


def test_options_win_over_everything(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the person types now is what counts."""
    monkeypatch.setenv("MODELWRIGHT_TARGET", "from-environment")
    monkeypatch.setenv("MODELWRIGHT_TIME_LIMIT", "2m")
    one = gathered({"target": "typed", "time_limit": None}, file)
    assert (one.target, one.time_limit) == ("typed", 120.0)


def test_the_projects_own_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --config the table tool.modelwright of pyproject.toml in the current folder; others' files do not matter."""
    monkeypatch.chdir(tmp_path)
    assert gathered({}).seed == 0
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n[tool.modelwright]\nseed = 7\n")
    assert gathered({}).seed == 7
    (tmp_path / "pyproject.toml").write_text("this is [no TOML")
    assert gathered({}).seed == 0


def refused(done: Finished, *told: str) -> None:
    assert done.code == 5, done.err
    assert "Traceback" not in done.err
    for words in told:
        assert words in done.err


def test_unknown_names_in_a_file_are_refused(loans_csv: Path, home: Path, tmp_path: Path) -> None:
    """With the file, the name, and the nearest right one; a nonsense value beside it is told as well."""
    (tmp_path / "settings.toml").write_text("time-limt = '5m'\nseed = -1\n")
    done = command_here("build", loans_csv, "--config", tmp_path / "settings.toml", home=home)
    refused(done, "settings.toml", "'time-limt'", "did you mean 'time_limit'", "--seed")


@pytest.mark.parametrize("content", [None, b"seed = ", b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_refused(
    content: bytes | None, loans_csv: Path, home: Path, tmp_path: Path
) -> None:
    """Missing, broken, or no text at all."""
    if content is not None:
        (tmp_path / "settings.toml").write_bytes(content)
    refused(command_here("build", loans_csv, "--config", tmp_path / "settings.toml", home=home), "settings.toml", "→")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MODELWRIGHT_FOLDS", "1", "--folds"),
        ("MODELWRIGHT_EXPERTS", "builtin", "MODELWRIGHT_EXPERTS"),
        ("MODELWRIGHT_REVIEW", "[plan", "MODELWRIGHT_REVIEW"),
        ("MODELWRIGHT_TIME_LIMIT", "soon", "'soon'"),
    ],
)
def test_nonsense_in_a_variable_is_refused(name: str, value: str, told: str, loans_csv: Path, home: Path) -> None:
    """As if it had been typed."""
    refused(command_here("build", loans_csv, home=home, **{name: value}), told)


def test_a_mistyped_variable_is_told(loans_csv: Path, home: Path) -> None:
    """It does nothing, so a person should know."""
    done = command_here("build", loans_csv, "--folds", "1", home=home, MODELWRIGHT_TAGET="default")
    assert "MODELWRIGHT_TAGET" in done.err
    assert "MODELWRIGHT_TARGET?" in done.err


def test_help_tells_the_precedence(home: Path) -> None:
    """Options, environment, TOML, and the exit codes stand in the help; defaults are not eaten as markup."""
    text = " ".join(modelwright("build", "--help", home=home, COLUMNS="160").out.split())
    assert "MODELWRIGHT_TIME_LIMIT" in text
    assert "pyproject.toml" in text
    assert "(default: 0.2)" in text
    assert "7 run held by another process" in " ".join(command_here("--help", home=home, COLUMNS="160").out.split())


@pytest.mark.parametrize(
    ("option", "value", "name", "read"),
    [
        ("--policy", "best-first", "policy", "best-first"),
        ("--policy", "mcts", "policy", "mcts"),
        ("--horizon", "14", "horizon", 14),
    ],
)
def test_an_option_of_build_reaches_its_setting(
    option: str, value: str, name: str, read: object, loans_csv: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was typed, and checked."""
    begun: list[Settings] = []
    monkeypatch.setattr("graphs.cli.building.build_command", lambda settings, **_: begun.append(settings))
    done = command_here("build", loans_csv, option, value, home=home)
    assert done.code == 0, done.err
    assert [getattr(one, name) for one in begun] == [read]


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [("--policy", "clever", "best-first"), ("--horizon", "0", "at least 1"), ("--horizon", "soon", "no whole number")],
)
def test_a_value_that_an_option_cannot_have_is_refused(
    option: str, value: str, told: str, loans_csv: Path, home: Path
) -> None:
    """With the option, the value, and what can be given."""
    refused(command_here("build", loans_csv, option, value, home=home), option, repr(value), told)
