"""Runs hostile programs: as plain subprocesses, as peers do, and as jobs of an executor in one sandbox tier."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil

from state.jobs import Job, Limits, Receipt
from tests.hostile import files, kernel, network, notes, planted, processes, resources, secrets
from tests.hostile.attack import Attack, Ran
from tests.hostile.ground import Ground
from tools.executors.process import ProcessExecutor
from tools.executors.worker import Worker

MODULES = (network, secrets, files, processes, resources, kernel, notes, planted)
ATTACKS: list[Attack] = [attack for module in MODULES for attack in module.ATTACKS]
_AT_MOST = 4 * 2**20
_SIBLING = """
import os, sys, time
secret = open(os.path.join(os.path.dirname(sys.argv[0]), "..", "secret.txt")).read()
try:
    open("/dev/shm/sibling-" + sys.argv[1], "w").write(secret)
except OSError as error:
    print(error)
open("ready", "w").close()
time.sleep(600)
"""


def limits_of(attack: Attack) -> Limits:
    """Wide for everything the attack is not about."""
    return Limits(**{"seconds": 15.0, "memory_mb": 1500, "disk_mb": 300, "tasks": 256, **attack.limits})


def judge(attack: Attack, ground: Ground, ran: Ran) -> dict[str, Any]:
    """One line of the result: evidence of success (empty when stopped) and what came of the job."""
    row = {
        "evidence": attack.evidence(ground, ran),
        "status": ran.status,
        "error": (ran.error or _tail(ran.log))[-400:],
    }
    ground.kill_what_is_left()
    return row


def _tail(log: bytes) -> str:
    return log[-400:].decode(errors="replace")


class Watch:
    """How much this process grows meanwhile, sampled."""

    def __enter__(self) -> Watch:
        self._before = self._peak = psutil.Process().memory_info().rss
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        me = psutil.Process()
        while not self._end.wait(0.01):
            self._peak = max(self._peak, me.memory_info().rss)

    @property
    def grown_mb(self) -> float:
        return (self._peak - self._before) / 2**20


# ---- plain subprocess -----------------------------------------------------------------------------------------------


def run_plain(attack: Attack, ground: Ground) -> dict[str, Any]:
    """The way of peers: the interpreter, the whole environment, a working folder that stays, output into memory."""
    ground.fresh()
    folder = ground.folder / f"plain-{ground.token}"
    folder.mkdir()
    sibling = _plain_sibling(ground, folder) if attack.sibling else None
    ran = _plain(attack.text, attack, ground, folder)
    if attack.follow:
        (folder / "loot.txt").unlink(missing_ok=True)
        ran = _plain(attack.follow_text, attack, ground, folder)
    row = judge(attack, ground, ran)
    if sibling is not None:
        sibling.kill()
        sibling.wait()
    shutil.rmtree(folder, ignore_errors=True)
    return row


def _plain_sibling(ground: Ground, folder: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=folder)
    ground.sibling_pids = [process.pid]
    return process


def _plain(text: str, attack: Attack, ground: Ground, folder: Path) -> Ran:
    (folder / "main.py").write_text(text)
    started = time.monotonic()
    with Watch() as watch:
        process = subprocess.Popen(
            [sys.executable, "main.py", json.dumps(ground.facts())],
            cwd=folder,
            # The whole environment but the home: what is planted there must not reach the person's own interpreter.
            env={**os.environ, "HOME": str(ground.folder / "person")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        log = b""
        try:
            log = process.communicate(timeout=float(attack.limits.get("seconds", 15.0)))[0]
            status = "done" if process.returncode == 0 else "error"
        except subprocess.TimeoutExpired:
            # The one signal that peers send; what survives it is looked for, and then ended.
            process.terminate()
            status = "timeout"
    return Ran(status, _naively(folder), log, seconds=time.monotonic() - started, grown_mb=watch.grown_mb)


def _naively(folder: Path) -> dict[str, bytes]:
    """Outputs as a program without a collector takes them: whatever there is, links followed."""
    taken: dict[str, bytes] = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = folders[:50]
        for name in names:
            path = os.path.join(parent, name)
            if name != "main.py":
                taken[os.path.relpath(path, folder)] = _read_naively(path)
    return taken


def _read_naively(path: str) -> bytes:
    try:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            return b"(a reader would wait here for ever)"
        with open(path, "rb") as file:
            return file.read(_AT_MOST if os.path.getsize(path) < 2**30 else 0)
    except OSError:
        return b""


# ---- jobs -----------------------------------------------------------------------------------------------------------


class Jobs:
    """One executor in one tier, warm for all attacks."""

    def __init__(self, ground: Ground, tier: str, worker: Worker | None) -> None:
        """`worker`: the warm parent of another tier's executor, which is the same for all of them."""
        self.ground = ground
        self.executor = ProcessExecutor(ground.store, ground.home / "jobs", slots=2, tier=tier)
        self.executor.worker = worker or self.executor.worker
        self._number = 0

    async def why_not(self) -> str:
        """Why jobs do not run in this tier; empty when they do."""
        receipt = await self._submit("print('it runs')", "{}", Limits(seconds=60.0, memory_mb=1500))
        if isinstance(receipt, Ran):
            return receipt.error
        log = self.ground.store.get_text(receipt.log) if receipt.log else ""
        return "" if receipt.ok and "it runs" in log else f"{receipt.status}: {receipt.error or log}"

    async def run(self, attack: Attack) -> dict[str, Any]:
        """Do one attack and judge its effect."""
        self.ground.fresh()
        self.ground.zygote = self.executor.worker.facts.get("pid", 0)
        async with self._beside(attack):
            ran = await self._one(attack.text, attack)
            if attack.follow:
                ran = await self._one(attack.follow_text, attack)
            row = judge(attack, self.ground, ran)
        shutil.rmtree(self.ground.place, ignore_errors=True)
        return row

    @contextlib.asynccontextmanager
    async def _beside(self, attack: Attack) -> AsyncIterator[None]:
        """A job of somebody else that runs meanwhile, when the attack wants one."""
        if not attack.sibling:
            yield
            return
        files = {
            "run/main.py": self.ground.store.put_text(_SIBLING),
            "secret.txt": self.ground.store.put_text(self.ground.secrets["sibling"]),
        }
        limits = limits_of(attack).but(seconds=600.0)  # it is ended when the attack is over, and never before
        job = Job(kind="script", files=files, params={"argv": ["run/main.py", self.ground.token]}, limits=limits)
        running = asyncio.create_task(self.executor.submit(job, f"sibling-{self.ground.token}"))
        while not list(self.ground.home.glob(f"jobs/sibling-{self.ground.token}/*/out/ready")):
            if running.done():
                raise RuntimeError(f"the job beside did not start: {running.result().error}")
            await asyncio.sleep(0.02)
        self.ground.sibling_pids = _programs_of(self.executor.worker.facts["pid"])
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            for left in Path("/dev/shm").glob(f"sibling-{self.ground.token}"):
                left.unlink(missing_ok=True)
            self.ground.sibling_pids = []

    async def _one(self, text: str, attack: Attack) -> Ran:
        with Watch() as watch:
            receipt = await self._submit(text, json.dumps(self.ground.facts()), limits_of(attack))
        if isinstance(receipt, Ran):
            return receipt
        outputs = {}
        for name, reference in receipt.outputs.items():
            with self.ground.store.get(reference) as file:
                outputs[name] = file.read(_AT_MOST)
        log = b""
        if receipt.log:
            with self.ground.store.get(receipt.log) as file:
                log = file.read(_AT_MOST)
        return Ran(receipt.status, outputs, log, receipt.error, receipt.seconds, watch.grown_mb)

    async def _submit(self, text: str, argument: str, limits: Limits) -> Receipt | Ran:
        self._number += 1
        files = {"run/main.py": self.ground.store.put_text(text)}
        job = Job(kind="script", files=files, params={"argv": ["run/main.py", argument]}, limits=limits)
        try:
            return await self.executor.submit(job, f"attack-{self._number}-{os.urandom(4).hex()}")
        except Exception as error:  # noqa: BLE001 - that the executor itself fails is one of the effects looked for
            return Ran("raised", error=f"{type(error).__name__}: {error}")


def _programs_of(warm_parent: int) -> list[int]:
    """Process ids of the programs that run now; the keeper of an earlier one may end while it is looked at."""
    found: list[int] = []
    for keeper in psutil.Process(warm_parent).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [child.pid for child in keeper.children()]
    return found


def wanted(place: str, everything: bool) -> list[Attack]:
    """The attacks to run: in a sandbox all; elsewhere those with their control there, or all that are harmless."""
    if place in ("T1", "T2"):
        return ATTACKS
    if place == "T3" and everything:
        return [attack for attack in ATTACKS if attack.control is not None]
    return [attack for attack in ATTACKS if attack.control == place]


async def run_all(ground: Ground, places: list[str], *, everything: bool) -> dict[str, dict[str, Any]]:
    """Place → attack → row. A tier that cannot be entered has the single key `""` with the reason."""
    found: dict[str, dict[str, Any]] = {}
    opened: list[Jobs] = []
    try:
        for place in places:
            if place == "plain":
                found[place] = {attack.name: run_plain(attack, ground) for attack in wanted(place, everything)}
                continue
            jobs = Jobs(ground, place, opened[0].executor.worker if opened else None)
            opened.append(jobs)
            if why := await jobs.why_not():
                found[place] = {"": {"why": why}}
            else:
                found[place] = {attack.name: await jobs.run(attack) for attack in wanted(place, everything)}
    finally:
        for jobs in reversed(opened):
            jobs.executor.close()
    return found


def cpu_seconds() -> float:
    """Processor seconds of this process and all its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
