"""`modelwright doctor`: our own extras, whether they are there, and the line that installs one that is not."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from graphs.cli import doctor
from tests.support.command import ROOT

METADATA = """\
Metadata-Version: 2.4
Name: some-tool
Version: 1.0
Requires-Dist: numpy
Requires-Dist: tomli; python_version < "3.0"
Provides-Extra: fast
Requires-Dist: numpy; extra == "fast"
Requires-Dist: not-there-at-all>=2; extra == "fast"
Requires-Dist: winning; sys_platform == "never" and extra == "fast"
Provides-Extra: dev
Requires-Dist: pytest; extra == "dev"
"""


def test_extras_of_a_checkout_are_those_of_its_pyproject() -> None:
    """All but `dev`, with the libraries each brings."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = doctor.extras()
    assert list(found) == sorted(set(declared) - {"dev"})
    assert found["search"] == ["optuna"]


def test_extras_of_an_installed_package_are_those_of_its_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is always needed is in none of them, nor what another machine would need."""
    folder = tmp_path / "some_tool-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(METADATA)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(doctor, "_PACKAGE", "some-tool")
    assert doctor.extras() == {"fast": ["numpy", "not-there-at-all"]}


def test_a_package_that_was_never_installed_has_no_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is neither a project file nor metadata nothing is listed, and nothing fails."""
    monkeypatch.setattr(doctor, "_PACKAGE", "never-installed-anywhere")
    assert doctor.extras() == {}


def test_a_missing_extra_comes_with_the_line_that_installs_it() -> None:
    """Versions where all its libraries are there, else how to get them."""
    assert doctor._installed("search", ["numpy"]) == f"numpy {metadata.version('numpy')}"
    assert doctor._installed("search", ["numpy", "not-there-at-all"]) == (
        "not installed (pip install 'modelwright[search]')"
    )
