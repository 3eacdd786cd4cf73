"""What every test may use: a home of its own, real tables, and one finished build shared by those that only look."""

from __future__ import annotations

import gc
import json
import os
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

from tests.support.command import Finished, modelwright
from tests.support.sharing import once
from tests.support.tables import loans

pytest_plugins = ["tests.support.postgres"]

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("LANGSMITH_TRACING", "false")

# What test modules import is there to stay; looking through it again and again took a fifth of the time to collect them.
gc.set_threshold(50_000, 20, 20)

# How long an example takes says what else the machine does, and nothing about what is tested.
settings.register_profile(
    "patient", parent=settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Nothing that was made until here is looked through for garbage while tests run."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty MODELWRIGHT_HOME."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MODELWRIGHT_HOME", str(folder))
    return folder


@pytest.fixture
def loans_csv(tmp_path: Path) -> Path:
    """A small mixed table with missing values and an identifier."""
    path = tmp_path / "loans.csv"
    loans().to_csv(path, index=False)
    return path


class Built:
    """A finished build: its home, its data, and what the command printed."""

    def __init__(self, home: Path, data: Path, finished: Finished) -> None:
        self.home = home
        self.data = data
        self.finished = finished
        self.summary = finished.json()

    @property
    def release(self) -> Path:
        return Path(self.summary["folder"])

    def frame(self) -> pd.DataFrame:
        return pd.read_csv(self.data)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One real build over the command line, shared by all tests that only look at it."""

    def build(folder: Path) -> None:
        loans().to_csv(folder / "loans.csv", index=False)
        arguments = ["--target", "default", "--intent", "Predict which loans default.", "--name", "shared", "--json"]
        arguments += ["--time-limit", "3000", "--iterations", "2", "--candidates", "3", "--folds", "3"]
        finished = modelwright("build", folder / "loans.csv", *arguments, home=folder / "home")
        assert finished.code == 0, finished.err
        (folder / "finished.json").write_text(json.dumps(asdict(finished)))

    folder = once(tmp_path_factory, "built", build)
    finished = Finished(**json.loads((folder / "finished.json").read_text()))
    return Built(folder / "home", folder / "loans.csv", finished)
