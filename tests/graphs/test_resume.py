"""Interrupted in every way one after another, a build comes to exactly what an uninterrupted one comes to.

`python -m tests.durability.campaign` does the same at every crash point and at hundreds of random moments.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.durability.drivers import wait_for
from tests.durability.killing import LEFT_SECONDS, NAME, Judge, Run, calm, table


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the build comes to when nothing happens."""
    folder = tmp_path_factory.mktemp("calm")
    return calm(Run(folder, table(folder / "loans.csv")))[0]


def test_a_build_survives_whatever_interrupts_it(uninterrupted: dict[str, Any], tmp_path: Path) -> None:
    """Stopped, paused, killed, killed right after an effect and before publishing: same winner, programs, predictions,
    scores and model files; no finished effect made again, no artifact torn, no process left."""
    run = Run(tmp_path, table(tmp_path / "loans.csv"))
    with Judge(run, uninterrupted) as judge:
        command = run.command("build", run.data, *run.options, "--name", NAME)
        wait_for(command, "researcher: planning")
        command.process.send_signal(signal.SIGSTOP)
        second = run.command("resume", NAME)
        assert second.end() == 7, second.err.read_text()
        assert str(command.pid) in second.err.read_text()
        command.process.send_signal(signal.SIGCONT)
        command.process.send_signal(signal.SIGINT)
        assert command.end() == 130, command.err.read_text()
        assert f"modelwright resume {NAME}" in command.out.read_text()
        judge.between()

        command = run.start()
        wait_for(command, "✔ i0-")
        assert (
            command.kill() < LEFT_SECONDS * 5
        )  # that much patience with a busy machine; the campaign holds two seconds
        judge.between()

        for crash in ("after-effect:2", "before-publish:1"):
            command = run.start(MODELWRIGHT_CRASH=crash)
            assert command.end() == -signal.SIGKILL, command.err.read_text()
            judge.between()

        command = run.start()
        judge.end(command, command.end())
    assert judge.found == []
    assert len(judge.outcome["jobs"]) > 15
    assert judge.outcome["release"]
