"""requirements.txt of a release: what its programs and its runtime import, pinned to the versions of the build."""

from __future__ import annotations

import ast
import platform
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from state.errors import NotFound
from tools.syntax import parse_source

_DISTRIBUTIONS = {
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "skops": "skops",
    "skrub": "skrub",
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "torch": "torch",
    "statsmodels": "statsmodels",
    "cloudpickle": "cloudpickle",
    "python_calamine": "python-calamine",
    "PIL": "pillow",
}
"""Import name → distribution, for the usual ones: asking the environment reads the file list of every package."""
_SAVED_WITH = {
    ".arrow": "pyarrow",
    ".skops": "skops",
    ".npz": "sklearn",
    ".txt": "lightgbm",
    ".ubj": "xgboost",
    ".cbm": "catboost",
    ".pickle": "cloudpickle",
}
"""Suffix of a file written by saving.py → import name of what reads it."""
_READ_WITH = {"parquet": "pyarrow", "excel": "python_calamine"}


@lru_cache(maxsize=256)
def imported(code: str, *, everywhere: bool = True) -> frozenset[str]:
    """Top-level names of the modules a source imports, those of the standard library left out.

    everywhere: also imports inside functions; without it only those that run when the module is imported.
    """
    tree = parse_source(code)
    names: set[str] = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return frozenset(names - set(sys.stdlib_module_names))


def needed(
    programs: Iterable[str],
    runtime: Iterable[str],
    model_files: Iterable[str],
    data_format: str,
    *,
    pictures: bool = False,
) -> list[str]:
    """Import names a release needs, sorted.

    programs: their sources · runtime: sources of the modules around them, whose optional imports follow from what was
    saved and read · model_files: names of all saved files · data_format: csv, parquet or excel · pictures: whether columns
    name image files.
    """
    names = {"numpy", "pandas"}
    for code in programs:
        names |= imported(code)
    for code in runtime:
        names |= imported(code, everywhere=False)
    names |= {_SAVED_WITH[suffix] for file in model_files if (suffix := "." + file.rpartition(".")[2]) in _SAVED_WITH}
    if pictures:
        names.add("PIL")
    if data_format in _READ_WITH:
        names.add(_READ_WITH[data_format])
    return sorted(names)


def requirements(imports: Sequence[str]) -> str:
    """Text of requirements.txt: the imported libraries, then what those need in turn, each pinned to what is installed.

    Raises NotFound naming a library that is imported and not installed.
    """
    return _pinned(tuple(imports))


@lru_cache(maxsize=16)
def _pinned(imports: tuple[str, ...]) -> str:
    """The text, put together once for the trial of a release and for the release itself."""
    direct = {_distribution(name) for name in imports}
    indirect = _closure(direct)
    lines = [
        f"# Made with Python {platform.python_version()}.",
        "# Imported by the programs of this model:",
        *(f"{name}=={_version(name)}" for name in sorted(direct)),
    ]
    if indirect:
        lines += ["# Needed by those:", *(f"{name}=={_version(name)}{indirect[name]}" for name in sorted(indirect))]
    return "\n".join(lines) + "\n"


def _distribution(name: str) -> str:
    """The distribution that brings an importable name."""
    if name in _DISTRIBUTIONS:
        return _DISTRIBUTIONS[name]
    owners = metadata.packages_distributions().get(name)
    if not owners:
        raise NotFound(
            f"a program of the release imports {name!r}, which is not installed here",
            hint="install it, or let the program use another library, then release again",
        )
    return canonicalize_name(owners[0])


def _version(name: str) -> str:
    """The installed version, without a local part (`+cpu`): that one is on no ordinary index."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError as error:
        raise NotFound(
            f"the release needs {name!r}, which is not installed here", hint=f"pip install {name}, then release again"
        ) from error


def _closure(direct: set[str]) -> dict[str, str]:
    """Distributions that `direct` need, directly or not → the marker of the dependency, spelled `; marker`, or nothing.

    A marker stays, so that the file also installs on a platform that does not need the package. A chain of markers
    keeps its last one only: more than that no library here has.
    """
    found: dict[str, str] = {}
    open_names = sorted(direct)
    while open_names:
        for text in metadata.requires(open_names.pop()) or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is not None and not marker.evaluate({"extra": ""}):
                continue
            name = canonicalize_name(requirement.name)
            spelled = f"; {marker}" if marker is not None else ""
            if name in direct:
                continue
            if name not in found:
                open_names.append(name)
                found[name] = spelled
            elif not spelled:
                found[name] = ""
    return found
