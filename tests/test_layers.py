"""The house: who may import whom, what a door may load, one role a file."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import ROOT, environment

FOLDERS = ("state", "tools", "nodes", "graphs")
DOORS = sorted(path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("__init__.py"))
ROLES = {
    "analyst": {"analyst"},
    "examiner": {"examiner"},
    "researcher": {"researcher"},
    "approver": {"approve_plan", "approve_release"},
    "engineer": {"engineer", "check"},
    "runner": {"runner"},
    "strategist": {"strategist"},
    "operations": {"operations"},
    "reviewer": {"reviewer"},
    "publisher": {"publisher"},
}


def test_the_layers_hold() -> None:
    """state ← tools ← nodes ← graphs, and no node imports another: import-linter's contracts are kept."""
    pytest.importorskip("importlinter", reason="import-linter is not installed (extra dev)")
    code = "import sys; from importlinter.cli import lint_imports_command as lint; sys.argv = ['lint-imports', '--no-cache']; lint()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


CHECKPOINTERS = {"checkpoints.py", "checkpointbase.py", "homesaver.py", "saver.py", "threads.py"}


def test_tools_know_no_graph() -> None:
    """Tools use LangGraph for checkpoints only; state uses none of it."""
    for path in [*(ROOT / "state").rglob("*.py"), *(ROOT / "tools").rglob("*.py")]:
        allowed = {"langgraph.checkpoint"} if path.name in CHECKPOINTERS else set()
        found = {name for name in imported(path) if name.split(".")[0] == "langgraph"}
        assert all(any(name.startswith(prefix) for prefix in allowed) for name in found), path


def test_package_doors_load_no_library(tmp_path: Path) -> None:
    """Importing the packages, without their modules, costs no pandas, no scikit-learn, no LangGraph."""
    names = [".".join(door.relative_to(ROOT).parts) for door in DOORS]
    heavy = (
        "numpy",
        "pandas",
        "sklearn",
        "lightgbm",
        "pyarrow",
        "matplotlib",
        "skrub",
        "langgraph",
        "langchain_core",
        "typer",
    )
    code = f"import sys, {', '.join(names)}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path / "home"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_folder_with_code_is_a_package_with_a_docstring() -> None:
    """Each package says in a paragraph what it is; each module begins with its subject."""
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            if "templates" in path.parts or "parts" in path.parts:
                continue
            assert (path.parent / "__init__.py").exists(), path
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"


def test_one_role_a_file() -> None:
    """A node file's public functions are its role's steps, nothing else; every role has a file."""
    found = {path.stem for path in (ROOT / "nodes").glob("*.py")} - {"__init__"}
    assert found == set(ROLES)
    for name, steps in ROLES.items():
        tree = ast.parse((ROOT / "nodes" / f"{name}.py").read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert {one for one in functions if not one.startswith("_")} == steps
        assert not [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def test_graphs_define_no_class_of_the_state() -> None:
    """What is checkpointed comes from `state/`: its import path never changes with the wiring."""
    for path in (ROOT / "graphs").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base) for base in node.bases}
                assert not bases & {"TypedDict", "Record", "BaseModel"}, f"{path}: {node.name}"


def imported(path: Path) -> set[str]:
    """Absolute names of the modules a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively"
            names.add(node.module)
    return names
