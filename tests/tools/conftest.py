"""What several tests of tools begin with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.runlog import RunLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RunLog]:
    runlog = RunLog(tmp_path / "run.db")
    yield runlog
    runlog.close()
