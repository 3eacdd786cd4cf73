"""Tries the sandbox tiers of this machine, strongest first, by running a small program in each until one works.

Run by `tools/sandbox.py` as a script of its own, without site packages being set up, which takes longer than the trial;
stands alone (standard library only). Its argument is a JSON object {folder, tiers, prefix, path}: a private folder, the
tiers to try, and what `sys` says in the warm parent. The program goes the way of every job, the harness left out. In
there it loads a library for the first time, compiled and not, reads its input, writes its output, and must fail to read
the file beside them. Prints {tier, refused: {tier: why}, landlock, user: "spare" | "root" | "own", passage} as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import socket
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PACKAGE = "modelwright_worker"
_LIMITS = {"seconds": 10.0, "memory_mb": 512, "disk_mb": 16, "output_kb": 16, "tasks": 16}
_FAILED = 1
_ANSWER = "in and out"


def main() -> None:
    """Try and tell."""
    told = json.loads(sys.argv[1])
    folder, tiers = told["folder"], told["tiers"]
    sys.prefix = sys.exec_prefix = told["prefix"]
    sys.path.extend(told["path"])
    package = types.ModuleType(_PACKAGE)
    package.__path__ = [str(Path(__file__).resolve().parent)]
    sys.modules[_PACKAGE] = package
    refused: dict[str, str] = {}
    works = ""
    for tier in tiers:
        why = _try(tier, Path(folder) / tier)
        if not why:
            works = tier
            break
        refused[tier] = why
    print(json.dumps({"tier": works, "refused": refused, **_facts(Path(folder))}))  # noqa: T201 - stdout is the answer


def _try(tier: str, folder: Path) -> str:
    """Run the program in a tier. Returns an empty text when it worked, else why not."""
    (folder / "in").mkdir(mode=0o700, parents=True)
    (folder / "out").mkdir(mode=0o700)
    for place in (folder, folder / "in"):
        (place / "note").write_text(_ANSWER)
    request = {
        "key": "probe", "boot": "", "kind": "script", "folder": str(folder), "params": {}, "threads": 1,
        "tier": tier, "guards": [os.getppid(), os.getpid()], "limits": _LIMITS,
    }  # fmt: skip
    reading, writing = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        _keep(request, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        told = file.read()
    os.waitpid(keeper, 0)
    return _verdict(told, folder)


def _keep(request: Mapping[str, Any], sink: int) -> None:
    """Be the keeper of the trial. Its own process, since entering T1 changes what a keeper is; never returns."""
    module = importlib.import_module(f"{_PACKAGE}.keeper")
    try:
        ours, _theirs = socket.socketpair()
        receipt = module.Keeper(request, ours, _program).run()
        os.write(sink, json.dumps(receipt).encode())
    finally:
        os._exit(0)


def _verdict(told: bytes, folder: Path) -> str:
    try:
        receipt = json.loads(told)
    except ValueError:
        return "the process that watches over a program ended"
    log, answer = folder / "log.txt", folder / "out" / "note"
    if receipt["status"] == "done" and answer.exists() and answer.read_text() == _ANSWER:
        return ""
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else str(receipt["error"])


def _program(request: Mapping[str, Any]) -> int:
    folder = Path(request["folder"])
    importlib.import_module("_sqlite3")
    importlib.import_module("threadpoolctl")
    if sum(1 for _ in _others(folder)):
        print("files beside the job's own can be read")  # noqa: T201 - the reason goes into the log
        return _FAILED
    (folder / "out" / "note").write_text((folder / "in" / "note").read_text())
    shutil.copy(folder / "out" / "note", folder / "tmp" / "note")
    return 0


def _others(folder: Path) -> Any:
    try:
        yield (folder / "note").read_text()
    except OSError:
        return


def _facts(folder: Path) -> dict[str, Any]:
    landlock, privileges, views = (
        importlib.import_module(f"{_PACKAGE}.{name}") for name in ("landlock", "privileges", "views")
    )
    spare = privileges.spare_user()
    user = "spare" if spare is not None else "root" if os.geteuid() == 0 else "own"
    return {
        "landlock": landlock.abi(),
        "user": user,
        "passage": bool(spare is not None and views.passage(folder)),
    }


if __name__ == "__main__":
    main()
