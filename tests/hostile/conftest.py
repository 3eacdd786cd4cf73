"""One batch per role, run once for all workers of a test session."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hostile.batch import Batch, Role, Rows, run_batch

Batches = Callable[[str, Role], Rows]
PLACES = {"as this user": ["T2", "T1", "plain", "T3"], "unprivileged": ["T2", "T1"]}
"""The controls come last, since some of them kill what the others need."""


@pytest.fixture(scope="session")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Batches:
    """The rows of a place; the first worker of the session that asks runs the role's batch, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def rows(place: str, role: Role) -> Rows:
        answer = shared / f"hostile-{role.replace(' ', '-')}.json"
        with Path(f"{answer}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not answer.exists():
                answer.write_text(json.dumps(run_batch(PLACES[role], role)))
        found: Batch = json.loads(answer.read_text())
        return found[place]

    return rows
