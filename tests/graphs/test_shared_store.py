"""A store that machines share: a run goes on where another machine left it, with nothing in common but the database."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from state.errors import EXIT_HELD, EXIT_WAITING
from tests.support.command import Finished, modelwright, running
from tests.support.postgres import Server
from tests.support.tables import loans
from tools.places import CATALOGUE_SCHEMA, Schema
from tools.postgres.fencing import lease_holder
from tools.store import Catalogue

SMALL = ["--time-limit", "600", "--iterations", "1", "--candidates", "1", "--folds", "2", "--refit", "train"]


class Machines:
    """Machines of one database, each with a home of its own that is empty at first."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.data = folder / "loans.csv"
        loans().to_csv(self.data, index=False)

    def run(self, home: str, *words: object, **more: str) -> Finished:
        return modelwright(*words, home=self.folder / home, MODELWRIGHT_STORE=self.url, **more)

    def begin(self, home: str, *more: object) -> Finished:
        words = ("build", self.data, "--target", "default", "--name", "shared", "--json")
        return self.run(home, *words, *SMALL, *more)

    def lose(self, home: str) -> None:
        """The machine is gone, with all it had on its disk."""
        shutil.rmtree(self.folder / home)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        catalogue = Catalogue(Schema(self.url, CATALOGUE_SCHEMA))
        try:
            return catalogue.database.read(sql)
        finally:
            catalogue.close()

    def trained(self) -> Counter[str]:
        """Key of a training → how often it was executed."""
        rows = self.rows("SELECT key, attempt FROM journal WHERE kind = 'fold'")
        return Counter({row["key"]: row["attempt"] for row in rows})


@pytest.fixture
def machines(database_url: str, tmp_path: Path) -> Machines:
    return Machines(tmp_path, database_url)


def test_a_run_goes_on_wherever_somebody_takes_it_up(machines: Machines) -> None:
    """Begun on one machine, answered on a second that is killed in the middle, finished on a third, looked at from a
    fourth: no training that finished is executed again, and the data file is needed only where the run began."""
    begun = machines.begin("one", "--review", "plan")
    assert begun.code == EXIT_WAITING, begun.err
    machines.data.unlink()
    machines.lose("one")

    lease = {"MODELWRIGHT_LEASE_SECONDS": "6"}
    killed = machines.run("two", "approve", "shared", MODELWRIGHT_CRASH="after-journal:2", **lease)
    assert killed.code == -signal.SIGKILL, killed.err
    machines.lose("two")
    refused = machines.run("three", "resume", "shared")
    if refused.code:  # the lease may have run out on a busy machine
        assert refused.code == EXIT_HELD, refused.err
        assert "its lease lasts until" in refused.err
        (run,) = machines.rows("SELECT id FROM runs")
        while lease_holder(machines.url, run["id"]) is not None:
            time.sleep(0.1)
        refused = machines.run("three", "resume", "shared", "--json")
    assert refused.code == 0, refused.err
    assert set(machines.trained().values()) == {1}
    machines.lose("three")

    listed = machines.run("four", "ls", "--json").json()
    assert [(row["name"], row["status"]) for row in listed] == [("shared", "done")]
    report = machines.run("four", "report", "shared")
    assert "<html" in Path(report.out.strip()).read_text().lower()
    new = machines.folder / "new.csv"
    loans().drop(columns="default").head(7).to_csv(new, index=False)
    predicted = machines.run("four", "predict", "shared", new, "--out", machines.folder / "out.csv")
    assert predicted.code == 0, predicted.err
    assert len(pd.read_csv(machines.folder / "out.csv")) == 7
    shown = machines.run("four", "show", "shared", "--json").json()
    assert (Path(shown["summary"]["folder"]) / "manifest.json").is_file()
    assert Path(shown["summary"]["folder"]).is_relative_to(machines.folder / "four")


@pytest.mark.campaign
def test_everything_that_looks_back_works_from_elsewhere(machines: Machines, postgres: Server) -> None:
    """Verify, log, why, fork and compare work from an empty machine; pruning frees rows and space, removing leaves
    nothing of a run, and its fork lives on."""
    built = machines.begin("one")
    assert built.code == 0, built.err
    machines.lose("one")

    verified = machines.run("two", "verify", "shared", "--data", machines.data, "--json")
    assert verified.code == 0, verified.err
    assert verified.json()["whole"]
    assert machines.run("two", "log", "shared", "--steps").code == 0
    assert machines.run("two", "why", "shared", "test.roc_auc").code == 0
    forked = machines.run("two", "fork", "shared", "--at", "approve_release", "--name", "twin", "--json")
    assert forked.code == 0, forked.err
    compared = machines.run("three", "compare", "shared", "twin", "--json").json()
    assert [run["name"] for run in compared["runs"]] == ["shared", "twin"]
    assert compared["runs"][1]["cost"]["trainings"] == 0

    def schemas() -> int:
        ((count,),) = postgres.run(
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'modelwright_run_%'", machines.url
        )
        return int(str(count))

    assert schemas() == 2
    ahead = machines.run("three", "prune", "--dry-run", "--json").json()
    pruned = machines.run("three", "prune", "--json").json()
    assert [one["checkpoints"] for one in pruned["runs"]] == [one["checkpoints"] for one in ahead["runs"]]
    assert all(one["checkpoints"] > 3 and one["bytes"] > 0 for one in pruned["runs"])
    assert pruned["artifacts"]["skipped"] == ""
    again = machines.run("three", "prune", "--json").json()
    assert [one["checkpoints"] for one in again["runs"]] == [0, 0]
    assert again["artifacts"]["artifacts"] == 0
    assert machines.run("four", "resume", "shared").code == 0
    assert machines.run("four", "verify", "shared", "--data", machines.data).code == 0

    removed = machines.run("four", "rm", "shared", "--yes", "--json")
    assert removed.code == 0, removed.err
    assert removed.json()["bytes"] > 0
    assert schemas() == 1
    assert machines.run("five", "verify", "twin", "--data", machines.data).code == 0
    assert machines.run("five", "rm", "twin", "--yes").code == 0
    assert schemas() == 0
    assert machines.rows("SELECT ref FROM artifacts") == []
    assert machines.rows("SELECT number FROM openings") != [], "the count of openings never loses one"


@pytest.mark.campaign
def test_a_build_that_slept_past_its_lease_leaves_the_run_to_the_other(machines: Machines) -> None:
    """A whole build, stopped in the middle of a training and continued after another machine has finished the run: it
    ends its programs, writes nothing, says who has the run, and leaves with code 7."""
    words = ("build", machines.data, "--target", "default", "--name", "shared", "--fresh", *SMALL)
    more = {"MODELWRIGHT_STORE": machines.url, "MODELWRIGHT_LEASE_SECONDS": "3"}
    (machines.folder / "one").mkdir()
    with running(*words, home=machines.folder / "one", **more) as build:
        while not machines.rows("SELECT key FROM journal WHERE kind = 'fold' AND state = 'running'"):
            time.sleep(0.05)
        os.kill(build.pid, signal.SIGSTOP)
        (row,) = machines.rows("SELECT id FROM runs")
        while lease_holder(machines.url, row["id"]) is not None:
            time.sleep(0.1)
        finished = machines.run("two", "resume", "shared", "--json")
        assert finished.code == 0, finished.err
        before = machines.rows("SELECT * FROM runs"), machines.rows("SELECT * FROM journal ORDER BY number")
        os.kill(build.pid, signal.SIGCONT)
        _, err = build.communicate()
    assert build.returncode == EXIT_HELD, err
    assert "this process lost run" in err
    assert (machines.rows("SELECT * FROM runs"), machines.rows("SELECT * FROM journal ORDER BY number")) == before
    assert json.loads(finished.out)["status"] == "done"
