"""One batch per role and group of places, run once for all workers of a test session."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.batch import Batch, Role, Rows, run_batch

Batches = Callable[[str, Role], Rows]
GROUPS = (["T2", "T1"], ["plain", "T3"])
"""Places whose programs run in one batch. The controls have one of their own, since some kill what the others need."""


@pytest.fixture(scope="session")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    """The rows of a place; the first worker of the session that asks runs its batch, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def rows(place: str, role: Role) -> Rows:
        group = next(group for group in GROUPS if place in group)
        answer = shared / f"hostile-{group[0]}-{role.replace(' ', '-')}.json"
        with Path(f"{answer}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not answer.exists():
                answer.write_text(json.dumps(run_batch(group, role)))
        found: Batch = json.loads(answer.read_text())
        return found[place]

    return rows
