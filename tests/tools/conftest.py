"""What several tests of tools begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.catalogue import Catalogue
from tools.places import Place
from tools.runlog import RunLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RunLog]:
    runlog = RunLog(tmp_path / "run.db")
    yield runlog
    runlog.close()


@pytest.fixture
def catalogue(places: Callable[[str], Place]) -> Iterator[Catalogue]:
    """An empty catalogue, in a file and in a shared database."""
    catalogue = Catalogue(places("catalogue"))
    yield catalogue
    catalogue.close()
