"""One driver per run on machines that share a database: the lease, its epoch, and what a stale holder may not do."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from state.errors import EXIT_HELD, RunHeld, UsageError
from tests.conformance.executor import PATIENCE
from tests.support.postgres import Server
from tools.drivers import check_driver, drive_run, driver_of, write_beside
from tools.home import STORE_VARIABLE
from tools.journal import Journal
from tools.postgres.fencing import current_epoch, lease_holder
from tools.postgres.session import LEASE_VARIABLE, lease_seconds
from tools.store import RunRow, open_catalogue, open_run_log

ROOT = Path(__file__).parents[2]
RUN = "3f2b8c1e-0000-4000-8000-000000000001"

DRIVER = """
import os, sys
from state.errors import RunHeld
from tools.drivers import drive_run
from tools.journal import Journal
from tools.store import open_catalogue, open_run_log

run = sys.argv[1]

def say(*words):
    # One write for the whole line: print writes the end of a line on its own, and two threads speak here.
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

try:
    with drive_run(run) as drive:
        drive.when_lost = lambda error: say("lost")
        log, catalogue = open_run_log(run), open_catalogue()
        journal = Journal(catalogue, run)
        say("drives")
        def inside(text):
            with log.database.write() as db:
                log.add_event("note", "", text)
                say("inside")
                sys.stdin.readline()

        words = {
            "lease": lambda text: os.environ.update(MODELWRIGHT_LEASE_SECONDS=text),
            "event": lambda text: log.add_event("note", "", text),
            "journal": lambda text: journal.effect_now(text, "fold", lambda: {"by": text})[1],
            "status": lambda text: catalogue.update_run(run, status=text).status,
            "seconds": lambda text: catalogue.add_active_seconds(run, float(text)),
            "opening": lambda text: catalogue.open_test(text, run_id=run, candidate="", code_hash="", data_hash=""),
            "inside": inside,
        }
        for line in sys.stdin:
            word, _, text = line.strip().partition(" ")
            try:
                say(word, words[word](text))
            except RunHeld as error:
                say("refused:", error.message)
except RunHeld as error:
    say("held:", error.message.replace("\\n", " "), "|", error.hint)
    sys.exit(error.exit_code)
"""


class Driver:
    """A process that drives the run from a home of its own, as another machine would."""

    def __init__(self, home: Path, url: str, seconds: float) -> None:
        more = {"MODELWRIGHT_HOME": str(home), STORE_VARIABLE: url, LEASE_VARIABLE: str(seconds)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, RUN],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **more},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.says()

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def machine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Driver]]:
    """Starts drivers; this process is one more machine with a store in the same database."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "here"))
    monkeypatch.setenv(STORE_VARIABLE, database_url)
    catalogue = open_catalogue()
    catalogue.add_run(RunRow(id=RUN, name="shared", created="2025-01-01T00:00:00.000+00:00"))
    catalogue.close()
    started: list[Driver] = []

    def start(home: str, seconds: float = 1.5) -> Driver:
        started.append(Driver(tmp_path / home, database_url, seconds))
        return started[-1]

    yield start
    for one in started:
        one.end()


def _await_free(url: str) -> None:
    while lease_holder(url, RUN) is not None:
        time.sleep(0.05)


def _lease(postgres: Server, url: str) -> tuple[int, datetime]:
    """The epoch of the run's lease, and until when it lasts by the server's clock."""
    ((epoch, expires),) = postgres.run(f"SELECT epoch, expires FROM modelwright.leases WHERE run_id = '{RUN}'", url)
    assert isinstance(epoch, int)
    assert isinstance(expires, datetime)
    return epoch, expires


def _events() -> list[str]:
    log = open_run_log(RUN)
    try:
        return [event["text"] for event in log.events()]
    finally:
        log.close()


def test_one_of_five_drives_and_the_others_are_told_who(
    machine: Callable[..., Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that begin at the same moment on machines of their own: one drives, the others leave with code 7, and
    each is told host, process, since when and until when. A clock that is decades ahead takes nothing over."""
    drivers = [machine(f"home-{number}", 30.0) for number in range(5)]
    said = [one.says() for one in drivers]
    assert sorted(word.partition(":")[0] for word in said) == ["drives", *["held"] * 4]
    holder = drivers[said.index("drives")]
    for one, word in zip(drivers, said, strict=True):
        if one is not holder:
            assert f"run '{RUN}' is driven by process {holder.process.pid} on {socket.gethostname()} since 20" in word
            assert "its lease lasts until 20" in word
            assert one.process.wait() == EXIT_HELD
    found = driver_of(RUN)
    assert found is not None
    assert found["pid"] == holder.process.pid
    with pytest.raises(RunHeld, match=f"process {holder.process.pid} on .* its lease lasts until"):
        check_driver(RUN)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    with pytest.raises(RunHeld, match="if it is dead, run the command again in"), drive_run(RUN):
        pass
    assert holder.ask("event still here") == "event 1"


def test_a_driver_elsewhere_waits_for_a_write_from_beside(machine: Callable[..., Driver]) -> None:
    """What holds the run for one write is waited for, and not taken for a driver that has to be ended."""
    with write_beside(RUN):
        found = driver_of(RUN)
        assert found is not None
        assert found["brief"]
        waiting = machine("elsewhere", 30.0)
        assert waiting.process.stdout is not None
        heard, _, _ = select.select([waiting.process.stdout], [], [], 3.0)
        assert not heard
    assert waiting.says() == "drives"


def test_a_driver_that_joins_a_write_is_not_waited_for(machine: Callable[..., Driver], database_url: str) -> None:
    """In one process driver and writers share the lease, which is held briefly only while nobody drives."""

    def becomes(brief: bool) -> None:
        while (holder := lease_holder(database_url, RUN)) is None or holder["brief"] != brief:
            time.sleep(0.05)

    with write_beside(RUN):
        becomes(True)
        with drive_run(RUN):
            becomes(False)
            assert machine("elsewhere", 30.0).says().startswith("held:")
        becomes(True)
    assert lease_holder(database_url, RUN) is None


def test_a_stopped_holder_that_wakes_up_writes_nothing(machine: Callable[..., Driver], database_url: str) -> None:
    """Stopped past its lease and continued, it is refused at every write of whatever kind, and told who took over."""
    stale = machine("stale")
    assert stale.says() == "drives"
    assert stale.ask("event before") == "event 1"
    stale.send(signal.SIGSTOP)
    _await_free(database_url)
    successor = machine("next", 30.0)
    assert successor.says() == "drives"
    assert successor.ask("event of the next") == "event 2"
    stale.send(signal.SIGCONT)
    writes = ("event stale", "journal key", "status failed", "seconds 9", "opening rows")
    for write in writes:
        stale.tell(write)
    said = [stale.says() for _ in range(len(writes) + 1)]
    assert said.count("lost") == 1
    lost = f"refused: this process lost run '{RUN}' to process {successor.process.pid} on"
    assert [word.startswith(lost) for word in said if word != "lost"] == [True] * len(writes)
    catalogue = open_catalogue()
    row, entries, openings = catalogue.run(RUN), Journal(catalogue, RUN).entries(), catalogue.openings("rows")
    catalogue.close()
    assert (row.status, row.active_seconds, entries, openings) == ("running", 0.0, [], [])
    assert successor.ask("journal key") == "journal False"
    assert successor.ask("status done") == "status done"
    assert _events() == ["before", "of the next"]


def test_a_holder_stopped_inside_a_write_is_ended_by_the_server(
    machine: Callable[..., Driver], database_url: str
) -> None:
    """Whoever wants the run meanwhile is told so at once; when the server has ended the write, nothing of it is kept."""
    stale = machine("stale", 0.5)
    assert stale.says() == "drives"
    # The lease it has stays as short; the server is as patient with its writes as with those of a longer one. So a busy
    # machine comes in time to be told that the server still waits.
    assert stale.ask("lease 8") == "lease None"
    assert stale.ask("inside half") == "inside"
    stale.send(signal.SIGSTOP)
    _await_free(database_url)
    with pytest.raises(RunHeld, match="the server still waits for a write it has begun"), drive_run(RUN):
        pass
    while True:  # the server is patient for some seconds
        try:
            with drive_run(RUN):
                log = open_run_log(RUN)
                log.add_event("note", "", "of the next")
                log.close()
        except RunHeld:
            time.sleep(0.3)
        else:
            break
    stale.send(signal.SIGCONT)
    stale.tell("")
    assert stale.process.wait() != 0
    assert _events() == ["of the next"]


def test_a_killed_holder_is_followed_when_its_lease_has_run_out(
    machine: Callable[..., Driver], database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 another machine is told when it may go on; on the same machine nobody has to wait; and when the
    lease has run out, any machine drives."""
    dead = machine("dead", 30.0)
    assert dead.says() == "drives"
    dead.send(signal.SIGKILL)
    dead.process.wait()
    with (
        pytest.raises(RunHeld, match=r"its lease lasts until 20.*\n.*if it is dead, run the command again in"),
        drive_run(RUN),
    ):
        pass
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "dead"))
    assert driver_of(RUN) is None, "the kernel knows better than the lease, on this machine"
    check_driver(RUN)
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "here"))
    same = machine("dead", 1.0)
    assert same.says() == "drives"
    same.send(signal.SIGKILL)
    same.process.wait()
    _await_free(database_url)
    with drive_run(RUN):
        assert current_epoch(database_url, RUN) == 3


def test_a_clone_of_the_holders_machine_takes_nothing_over(
    machine: Callable[..., Driver], database_url: str, postgres: Server
) -> None:
    """A virtual machine cloned with memory and disk has the holder's kernel, device and inode, but not its address."""
    holder = machine("cloned", 30.0)
    assert holder.says() == "drives"
    holder.send(signal.SIGKILL)
    holder.process.wait()
    postgres.run(
        "UPDATE modelwright.leases SET lock = regexp_replace(lock, '@.*', '@192.0.2.7') RETURNING 1", database_url
    )
    clone = machine("cloned", 30.0)
    assert clone.says().startswith(f"held: run '{RUN}' is driven by process {holder.process.pid}")


def test_a_living_holder_keeps_its_lease(machine: Callable[..., Driver], database_url: str, postgres: Server) -> None:
    """It is renewed for as long as the process lives, also when the server ends its sessions; it ends with the block."""
    holder = machine("holder", 3.0)
    assert holder.says() == "drives"
    assert holder.ask("event one") == "event 1"
    postgres.disconnect(database_url)
    epoch, until = _lease(postgres, database_url)
    give_up = time.monotonic() + PATIENCE
    while _lease(postgres, database_url)[1] < until + timedelta(seconds=3.5):  # renewed past the end of what it had
        assert time.monotonic() < give_up, "the lease was not renewed"
        time.sleep(0.05)
    assert _lease(postgres, database_url)[0] == epoch
    assert holder.ask("event two") == "event 2"
    assert holder.process.stdin is not None
    holder.process.stdin.close()
    assert holder.process.wait() == 0
    assert lease_holder(database_url, RUN) is None
    assert driver_of(RUN) is None


def test_a_late_write_of_a_former_driver_is_held_against_its_epoch(
    machine: Callable[..., Driver], database_url: str
) -> None:
    """What a process still writes after it let go of a run is refused once somebody else drives it."""
    with drive_run(RUN):
        log = open_run_log(RUN)
        log.add_event("note", "", "driven")
    assert current_epoch(database_url, RUN) == 1
    log.add_event("note", "", "late, and nobody minds")
    successor = machine("next", 30.0)
    assert successor.says() == "drives"
    with pytest.raises(RunHeld, match=f"process {successor.process.pid}"):
        log.add_event("note", "", "too late")
    log.close()
    assert _events() == ["driven", "late, and nobody minds"]


def test_a_lease_has_a_length_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nonsense in the variable is refused."""
    monkeypatch.delenv(LEASE_VARIABLE, raising=False)
    assert lease_seconds() == 30.0
    for wrong in ("soon", "0", "-3", "1e9"):
        monkeypatch.setenv(LEASE_VARIABLE, wrong)
        with pytest.raises(UsageError, match="no number of seconds"):
            lease_seconds()


def test_the_same_process_cannot_drive_twice(machine: Callable[..., Driver]) -> None:
    """A second driver in this process is refused by the folder's lock, and the first keeps its lease."""
    with drive_run(RUN) as drive:
        with pytest.raises(RunHeld, match="this very process"), drive_run(RUN):
            pass
        assert drive.lost is None
        assert driver_of(RUN) is not None
    assert driver_of(RUN) is None
