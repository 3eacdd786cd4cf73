"""A run of the small team that waits for the word on its release: copied for every test that damages one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphs import session
from state.settings import Settings
from tests.durability.small import LEDGER, small_world
from tools.damage.inspecting import inspect_run
from tools.home import run_folder
from tools.store import open_catalogue


class Small:
    """A run of the small team that waits for the word on its release, in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = home.parent / "ledger"

    @property
    def id(self) -> str:
        catalogue = open_catalogue()
        try:
            return catalogue.find_run("small").id
        finally:
            catalogue.close()

    @property
    def database(self) -> Path:
        return run_folder(self.id) / "run.db"

    def jobs(self) -> int:
        """Effects made so far: jobs executed and replies paid for."""
        return len(self.ledger.read_text().splitlines())

    def damage(self) -> list[Any]:
        """Everything found; the small team's release has no manifest, and its report is no page."""
        catalogue = open_catalogue()
        try:
            found = inspect_run(catalogue, catalogue.find_run("small"))
        finally:
            catalogue.close()
        return [one for one in found if one.kind not in {"release", "report"}]


@pytest.fixture(scope="session")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of such a run, made once."""
    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch, small_world():
        patch.setenv("MODELWRIGHT_HOME", str(folder / "home"))
        patch.setenv(LEDGER, str(folder / "ledger"))
        settings = Settings(
            name="small", time_limit=86400, jobs=2, iterations=1, candidates=2, review=["plan", "release"]
        )
        asked = session.start(settings)
        answered = session.resume("small", answers={one["id"]: {"action": "approve"} for one in asked.waiting})
        assert answered.status == "waiting"
        assert answered.waiting[0]["gate"] == "release"
    return folder


@pytest.fixture
def small(waiting: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Small]:
    """A copy of it, to be damaged, in a world of small teams."""
    shutil.copytree(waiting, tmp_path / "copy")
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "copy" / "home"))
    monkeypatch.setenv(LEDGER, str(tmp_path / "copy" / "ledger"))
    with small_world():
        yield Small(tmp_path / "copy" / "home")
