"""One job in one tier, by an orchestrating process of its own that may first give up what it is allowed.

    python -m tests.support.sandboxed FOLDER TIER [ordinary] [without=CALL,CALL]

"ordinary" makes root an ordinary user, "without" forbids system calls as a container would. Prints one JSON object:

    probe     what the trial of tiers says
    receipt   how the job ended, and `found`: what it saw
    filled    what came of filling /dev/shm, and `left`: what stayed there
    hidden    whether the warm parent's environment is hidden from its own user
    planted   files the job could write outside its folders
    signals   those that reached the orchestrating process
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import struct
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.hostile.lowering import become_ordinary

ROOT = Path(__file__).resolve().parents[2]
LOOK = """
import ctypes, errno, json, os, signal, socket, sys

outside, victim, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
found = {"pid": os.getpid(), "uid": os.getuid(), "groups": os.getgroups()}
for line in open("/proc/self/status"):
    name, value = line.split(":", 1)
    if name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"):
        found[name] = int(value, 16)

def attempt(name, action):
    try:
        found[name] = ["done", str(action())[:60]]
    except OSError as error:
        found[name] = ["refused", errno.errorcode.get(error.errno, "")]

def connect(family, address):
    with socket.socket(family) as made:
        made.connect(address)

here = os.path.dirname(os.getcwd())
attempt("read a file of the user", lambda: open(outside + "/secret").read())
attempt("read the job's description", lambda: open(here + "/job.json").read())
attempt("write outside", lambda: open(outside + "/planted", "w"))
attempt("write an input", lambda: open(here + "/in/run/main.py", "w"))
attempt("make an input", lambda: open(here + "/in/planted", "w"))
attempt("write a library", lambda: open(os.path.dirname(os.__file__) + "/planted.py", "w"))
attempt("write an output", lambda: open("kept", "w").write("x"))
attempt("write a temporary file", lambda: open(os.environ["TMPDIR"] + "/x", "w").write("x"))
attempt("run a program of the system", lambda: os.waitstatus_to_exitcode(os.system("exit 3")))
attempt("connect to the machine", lambda: connect(socket.AF_INET, ("127.0.0.1", port)))
attempt("connect to a unix socket", lambda: connect(socket.AF_UNIX, outside + "/socket"))
attempt("read another process's environment", lambda: open(f"/proc/{victim}/environ").read())
attempt("signal another process", lambda: os.kill(victim, signal.SIGUSR1))
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), "")
attempt("make a user namespace", lambda: call({"x86_64": 272}.get(os.uname().machine, 97), 0x10000000))
attempt("set up an io_uring", lambda: call(425, 4, ctypes.create_string_buffer(120)))
json.dump(found, open("found.json", "w"))
"""


FILL = """
import errno, sys
try:
    for number in range(6):
        with open(f"/dev/shm/{sys.argv[1]}-{number}", "wb") as file:
            file.write(bytes(50_000_000))
    print("filled")
except OSError as error:
    print(errno.errorcode.get(error.errno))
"""


def main() -> None:
    """Run and print."""
    folder, tier, *told = sys.argv[1:]
    if "ordinary" in told:
        become_ordinary(ROOT)
    forbid([name for one in told if one.startswith("without=") for name in one.partition("=")[2].split(",")])
    os.environ["SECRET"] = "canary"
    os.environ["MODELWRIGHT_HOME"] = f"{folder}/home"
    print(json.dumps(asyncio.run(look(Path(tempfile.mkdtemp(dir=folder)), tier))))


async def look(folder: Path, tier: str) -> dict[str, Any]:
    """Set up something to find, run the job, gather what it says."""
    import socket

    from tests.support.programs import limits, script_job
    from tools import sandbox
    from tools.artifacts import FolderArtifacts
    from tools.executors.process import ProcessExecutor

    (folder / "secret").write_text("canary")
    signals: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))
    network, local = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    local.bind(str(folder / "socket"))
    local.listen()
    store = FolderArtifacts(folder / "store")
    executor = ProcessExecutor(store, folder / "jobs", slots=1, tier=tier)
    words = (str(folder), str(os.getpid()), str(network.getsockname()[1]))
    try:
        job = script_job(store, LOOK, *words, limits=limits())
        receipt = await executor.submit(job, "look")
        filled = "not tried"
        if tier != "T3" and receipt.ok:
            full = await executor.submit(script_job(store, FILL, folder.name, n_jobs=2, limits=limits()), "fill")
            filled = store.get_text(full.log or "").strip() if full.ok else f"ended: {full.status}"
        zygote = Path(f"/proc/{executor.worker.facts.get('pid')}/environ")
        try:
            hidden = not zygote.read_bytes()
        except OSError:
            hidden = True
    finally:
        executor.close()
        network.close()
        local.close()
    found = json.loads(store.get_text(receipt.outputs["found.json"])) if receipt.ok else {}
    left = [path.name for path in Path("/dev/shm").glob(f"{folder.name}-*")]
    for name in left:
        Path("/dev/shm", name).unlink()
    planted = [str(path) for path in folder.rglob("planted")]
    return {
        "probe": asdict(sandbox.probe()), "receipt": receipt.plain(), "found": found, "filled": filled, "left": left, "hidden": hidden,
        "planted": planted, "signals": signals,
    }  # fmt: skip


def forbid(names: list[str]) -> None:
    """Let these system calls fail with EPERM from now on, in this process and all it starts."""
    from tools.executors import privileges, seccomp, syscalls

    here = syscalls.machine()
    if not names or here is None:
        return
    numbers = [number for name in names if (number := syscalls.number(name, here)) is not None]
    lines = [(0x20, 0, 0, 0)]
    lines += [line for number in numbers for line in ((0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | errno.EPERM))]
    privileges.gain_nothing()
    seccomp.install(b"".join(struct.pack("=HBBI", *line) for line in [*lines, (0x06, 0, 0, 0x7FFF0000)]))


if __name__ == "__main__":
    main()
