"""The wheel: it holds everything, installs nothing under a general name, and works where no checkout is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.version import Version

from tests.support.command import ROOT
from tests.support.sharing import once
from tests.support.tables import loans

FOLDERS = ("state", "tools", "nodes", "graphs")


def tree() -> set[str]:
    """Every file of the four folders, as the wheel should name it."""
    files = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file())
    return {f"_modelwright/{path.relative_to(ROOT)}" for path in files if "__pycache__" not in path.parts}


def test_the_package_list_is_the_tree() -> None:
    """pyproject.toml lists each package once, with its folder; a new one is not forgotten."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    doors = [path.parent.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py")]
    expected = {"_modelwright." + ".".join(door.parts): str(door) for door in doors}
    assert sorted(setuptools["packages"]) == sorted(expected)
    assert setuptools["package-dir"] == expected
    assert setuptools["py-modules"] == ["modelwright"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources."""
    return next((once(tmp_path_factory, "wheel", _build_wheel) / "out").glob("*.whl"))


def _build_wheel(place: Path) -> None:
    source, out = place / "source", place / "out"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("modelwright.py", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    (source / "README.md").write_text("# modelwright\n")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", out, *_isolation(), source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _isolation() -> list[str]:
    """Build with the setuptools that is here when it is new enough; otherwise `build` fetches one."""
    try:
        return ["--no-isolation"] if Version(metadata.version("setuptools")) >= Version("77") else []
    except metadata.PackageNotFoundError:
        return []


def test_the_wheel_holds_every_file_and_no_general_name(wheel: Path) -> None:
    """Code, templates, prompts, style sheet, bundled table: all of the tree, inside `_modelwright/`, and the door."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name and not name.endswith("/")}
    assert names == tree() | {"modelwright.py"}
    for wanted in (
        "_modelwright/graphs/cli/titanic.csv",
        "_modelwright/tools/executors/zygote.py",
        "_modelwright/tools/executors/harness.py",
        "_modelwright/tools/portable/reading.py",
        "_modelwright/tools/report/style.css",
    ):
        assert wanted in names
    assert [name for name in names if name.startswith("_modelwright/tools/release/templates/")]
    assert [name for name in names if name.startswith("_modelwright/tools/recipes/parts/")]
    assert [name for name in names if name.startswith("_modelwright/tools/recipes/templates/")]
    assert [name for name in names if name.startswith("_modelwright/tools/experts/prompts/")]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and the libraries of this one beside it; returns its folder."""
    return once(tmp_path_factory, "installed", lambda folder: _install(folder, wheel))


def _install(folder: Path, wheel: Path) -> None:
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next((folder / "lib").glob("python*/site-packages"))
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    assert {path.name.split("-")[0] for path in packages.iterdir()} <= {
        "modelwright.py",
        "_modelwright",
        "modelwright",
        "__pycache__",
    }
    (packages / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")


def run(installed: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MODELWRIGHT_HOME"}}
    return subprocess.run(
        [*map(str, arguments)],
        cwd=cwd,
        env={**kept, "MODELWRIGHT_HOME": str(cwd / "home"), "PATH": f"{installed / 'bin'}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_of_the_wheel_builds_and_predicts(installed: Path, tmp_path: Path) -> None:
    """Help, a small build and its predictions, from a folder that holds a `tools.py` of its own."""
    (tmp_path / "tools.py").write_text("raise RuntimeError('a stranger was imported')")
    loans().to_csv(tmp_path / "loans.csv", index=False)
    shown = run(installed, "modelwright", "--help", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "build" in shown.stdout
    options = ["--target", "default", "--candidates", "1", "--iterations", "1", "--folds", "2", "--time-limit", "600"]
    built = run(installed, "modelwright", "build", "loans.csv", *options, "--json", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    code = (
        "import modelwright, pandas as pd, sys; run = modelwright.open_run(); "
        "print(len(run.predict(pd.read_csv('loans.csv').head(3)))); print(modelwright.__file__)"
    )
    predicted = run(installed, installed / "bin" / "python", "-c", code, cwd=tmp_path)
    lines = predicted.stdout.split()
    assert lines[0] == "3", predicted.stderr
    assert lines[1].startswith(str(installed))
