"""Running the programs of a release: in the sandbox, or by an interpreter of the person's own choice.

Nothing of a release is imported, loaded or unpickled by this process. A program finds its files below `in/`, works in an
empty folder `out/`, and leaves its results there; arguments that begin with `in/` or `out/` are paths in those.
"""

from __future__ import annotations

import inspect
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from state.errors import NotFound
from state.jobs import Job, Limits, Receipt
from tools.artifacts import FolderArtifacts
from tools.blocking import run_in_thread
from tools.executors.process import ProcessExecutor
from tools.home import home, private_folder
from tools.release.checking import MANIFEST, read_manifest
from tools.sandbox import TIERS, default_memory_mb, environment, library_paths

LONGEST_SECONDS = 7 * 86400.0
_ROOM = 4
"""A program may write as many times the bytes it is given, and some gigabytes beside."""
_ENDED = re.compile(r"SystemExit: (\d+)$")


@dataclass(frozen=True)
class Ran:
    """How a program ended."""

    code: int
    """What it exited with; 0 when all went well, 70 when it was ended or broke."""
    words: list[str]
    """The last lines it printed, its traceback included."""
    out: Path
    """Folder with what it wrote."""


class Runner(Protocol):
    """Runs programs of a release."""

    where: str
    """What a person reads: the sandbox tier, or the interpreter."""

    def run(self, argv: Sequence[str], files: Mapping[str, Path]) -> Ran:
        """Run the script `argv[0]` (a name in `files`) with its arguments. files: name below `in/` → file to put there."""
        ...

    def versions(self, names: Sequence[str]) -> dict[str, str]:
        """Versions of the named distributions that its programs see, and of "Python"; absent ones are left out."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class Sandboxed:
    """Runs programs as jobs of an executor of its own, in the strongest sandbox tier of this machine.

    Writes below the jobs folder of our home, and removes it all when the block is left.
    """

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self.where = ""
        self._scratch = tempfile.TemporaryDirectory(
            prefix="release-", dir=private_folder(home() / "jobs"), ignore_cleanup_errors=True
        )
        root = Path(self._scratch.name)
        self._artifacts = FolderArtifacts(root / "artifacts")
        self._executor = ProcessExecutor(
            self._artifacts, root / "jobs", slots=1, threads_per_job=threads, cache=home() / "cache"
        )

    def __enter__(self) -> Self:
        self._executor.warm()
        self.where = f"sandbox tier {TIERS[self._executor.tier]}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._executor.close()
        self._scratch.cleanup()

    def run(self, argv: Sequence[str], files: Mapping[str, Path]) -> Ran:
        """See Runner. What is put in is taken by content: a file that changes meanwhile is not seen half."""
        taken = {name: self._artifacts.put(path) for name, path in files.items()}
        megabytes = sum(path.stat().st_size for path in files.values()) // 2**20
        job = Job(
            kind="script",
            files=taken,
            params={"argv": list(argv)},
            n_jobs=self.threads,
            limits=Limits(
                seconds=LONGEST_SECONDS,
                memory_mb=default_memory_mb(1),
                disk_mb=4096 + _ROOM * megabytes,
                output_kb=1024,
            ),
            label=argv[0],
        )
        return self._ran(run_in_thread(self._executor.submit(job, uuid.uuid4().hex), "modelwright-release"))

    def versions(self, names: Sequence[str]) -> dict[str, str]:
        """See Runner."""
        return _versions(names)

    def _ran(self, receipt: Receipt) -> Ran:
        out = Path(self._scratch.name) / f"out-{uuid.uuid4().hex}"
        out.mkdir()
        for name, reference in receipt.outputs.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            self._artifacts.export(reference, out / name)
        text = ""
        if receipt.log is not None:
            with self._artifacts.get(receipt.log) as stream:
                text = stream.read().decode("utf-8", "replace")
        words = text.strip().splitlines()
        if receipt.ok:
            return Ran(0, words, out)
        ended = _ENDED.search(receipt.error.strip())
        return Ran(int(ended[1]) if ended else 70, words or receipt.error.splitlines(), out)


class Interpreter:
    """Runs programs in a plain process of a Python: this one, or another with the libraries that one has.

    No sandbox surrounds it: for releases whose programs may run as they are. Of our environment only what sandbox.py
    allows is passed on.
    """

    def __init__(self, python: Path | None = None, threads: int = 1) -> None:
        """python: the interpreter; None for our own. Raises NotFound when it does not exist."""
        if python is not None and not python.is_file():
            raise NotFound(f"there is no Python {str(python)!r}", hint="name the interpreter, such as venv/bin/python")
        self.python = str(python.absolute()) if python is not None else sys.executable
        self.threads = threads
        self.where = f"{self.python}, without a sandbox"
        self._libraries = library_paths() if python is None else []
        self._scratch = tempfile.TemporaryDirectory(prefix="modelwright-", ignore_cleanup_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._scratch.cleanup()

    def run(self, argv: Sequence[str], files: Mapping[str, Path]) -> Ran:
        """See Runner."""
        root = Path(tempfile.mkdtemp(dir=self._scratch.name))
        places = {"in/": root / "in", "out/": root / "out"}
        places["out/"].mkdir()
        for name, path in files.items():
            target = places["in/"] / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        words = [_placed(word, places) for word in argv[1:]]
        done = subprocess.run(
            [self.python, "-B", "-P", str(places["in/"] / argv[0]), *words],
            cwd=places["out/"],
            env={**environment(root, self.threads), **self._extra()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        return Ran(done.returncode, done.stdout.strip().splitlines(), places["out/"])

    def versions(self, names: Sequence[str]) -> dict[str, str]:
        """See Runner."""
        code = f"{inspect.getsource(_versions)}\nprint(json.dumps(_versions(sys.argv[1:])))"
        head = "from __future__ import annotations\nimport json, platform, sys\nfrom importlib import metadata\n"
        done = subprocess.run(
            [self.python, "-B", "-P", "-c", head + code, *names],
            env={**environment(Path(self._scratch.name), 1), **self._extra()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            raise NotFound(
                f"{self.python!r} is no Python that can run this: {last}", hint="name a Python 3.11 or newer"
            )
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def _extra(self) -> dict[str, str]:
        return {"PYTHONPATH": os.pathsep.join(self._libraries)} if self._libraries else {}


def _versions(names: Sequence[str]) -> dict[str, str]:
    installed = {name: metadata.version(name) for name in names if any(metadata.Distribution.discover(name=name))}
    return {**installed, "Python": platform.python_version()}


def _placed(word: str, places: Mapping[str, Path]) -> str:
    place = places.get(word[: word.find("/") + 1])
    return str(place / word.partition("/")[2]) if place else word


def release_files(folder: Path) -> dict[str, Path]:
    """The files of a release as `Runner.run` takes them, below `release/`; what its manifest does not name stays out."""
    names = [MANIFEST, *read_manifest(folder)["files"]]
    return {f"release/{name}": folder / name for name in names}
