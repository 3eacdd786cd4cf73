"""The public door `modelwright.py`: light, honest about its neighbours' names, complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import modelwright
from tests.support.command import ROOT, environment

HEAVY = (
    "numpy",
    "pandas",
    "pydantic",
    "sklearn",
    "lightgbm",
    "pyarrow",
    "matplotlib",
    "langgraph",
    "langchain_core",
    "typer",
    "rich",
)


def python(code: str, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a snippet in a process of its own, in `tmp_path`, with this checkout importable."""
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_importing_loads_nothing_heavy_and_writes_nothing(tmp_path: Path) -> None:
    """`import modelwright` brings in none of the libraries, prints nothing, and makes no folder."""
    done = python(f"import sys, modelwright; print([name for name in {HEAVY!r} if name in sys.modules])", tmp_path)
    assert done.stdout.strip() == "[]", done.stderr
    assert not (tmp_path / "home").exists()


def test_every_public_name_exists() -> None:
    """`__all__`, `dir()` and what can be had are the same names; settings and errors are the real ones."""
    assert modelwright.__all__ == sorted(modelwright.__all__)
    assert set(modelwright.__all__) == {name for name in dir(modelwright) if not name.startswith("_")}
    for name in modelwright.__all__:
        assert getattr(modelwright, name) is not None
    assert modelwright.Settings(time_limit="2m").time_limit == 120
    assert issubclass(modelwright.InputError, modelwright.ModelwrightError)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A typing mistake is told as Python tells it."""
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        _ = modelwright.biuld  # type: ignore[attr-defined]


def test_the_graph_is_built_once_and_carries_no_checkpointer() -> None:
    """Server, notebook and Studio share one compiled graph; who persists it is theirs to say."""
    assert modelwright.graph is modelwright.graph
    assert modelwright.make_graph() is modelwright.graph
    assert modelwright.graph.checkpointer is None


def test_local_files_of_the_same_names_do_not_get_in_the_way(tmp_path: Path) -> None:
    """A `tools.py` and a `state/` in the working directory are not taken for ours, however Python is started."""
    (tmp_path / "tools.py").write_text("raise RuntimeError('a stranger was imported')")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "__init__.py").write_text("raise RuntimeError('a stranger was imported')")
    done = python("import modelwright; print(modelwright.build_graph().name)", tmp_path)
    assert done.stdout.strip() == "modelwright", done.stderr
    listed = subprocess.run(
        [sys.executable, "-m", "modelwright", "ls"],
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr


def test_what_is_put_on_the_path_later_cannot_stand_in_for_ours(tmp_path: Path) -> None:
    """The four names are taken at import, so a later change of the path changes nothing."""
    (tmp_path / "graphs.py").write_text("raise RuntimeError('a stranger was imported')")
    done = python(
        f"import modelwright, sys; sys.path.insert(0, {str(tmp_path)!r}); print(modelwright.build_graph().name)",
        tmp_path,
    )
    assert done.stdout.strip() == "modelwright", done.stderr


@pytest.mark.parametrize("name", ["state", "tools", "nodes", "graphs"])
def test_a_stranger_already_imported_is_named(name: str, tmp_path: Path) -> None:
    """Another module of one of our names, imported first, is refused with its place and three ways out."""
    (tmp_path / f"{name}.py").write_text("")
    done = python(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {name}; import modelwright", tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert str(tmp_path / f"{name}.py") in last
    assert "import modelwright before it" in last


def test_a_strangers_folder_without_init_is_named_too(tmp_path: Path) -> None:
    """A namespace package counts as a stranger as well."""
    (tmp_path / "tools").mkdir()
    code = f"import sys; path = sys.path[:]; sys.path[:] = [{str(tmp_path)!r}]; import tools; sys.path[:] = path"
    done = python(f"{code}; import modelwright", tmp_path)
    assert "ImportError: another module named 'tools'" in done.stderr


def test_importing_twice_or_under_another_entry_is_harmless(tmp_path: Path) -> None:
    """The path holds our folder once, in front, after a reload as well."""
    code = "import importlib, sys, modelwright; importlib.reload(modelwright); print(sys.path[0], sys.path.count(sys.path[0]))"
    assert python(code, tmp_path).stdout.split() == [str(ROOT), "1"]


def test_a_type_checker_sees_the_names(tmp_path: Path) -> None:
    """mypy knows what the door gives, with its types, and reports what it does not give."""
    (tmp_path / "use.py").write_text(
        "import modelwright\n"
        "reveal_type(modelwright.build('a.csv'))\n"
        "reveal_type(modelwright.Settings().folds)\n"
        "modelwright.biuld('a.csv')\n"
    )
    pytest.importorskip("mypy", reason="mypy is not installed (extra dev)")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            str(ROOT / "pyproject.toml"),
            str(tmp_path / "use.py"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Revealed type is "graphs.api.Run"' in done.stdout, done.stdout + done.stderr
    assert 'Revealed type is "int"' in done.stdout or 'Revealed type is "builtins.int"' in done.stdout
    assert '"biuld"' in done.stdout
