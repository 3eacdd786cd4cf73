"""What a forked child does to itself before it touches a program: its own session, files, limits, sandbox.

Stands alone (standard library only), since it runs inside the warm parent's children. The only way in is `confine`.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import proctree  # relative: the warm parent loads this folder under a name of its own, without our packages

MEGABYTE = 2**20
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_DATA_HEADROOM = 512 * MEGABYTE
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def confine(request: Mapping[str, Any], output: int, keeper: int) -> None:
    """Turn this process, freshly forked by `keeper`, into a job's child.

    `output` becomes stdout and stderr; stdin is empty.

    Afterwards: own session, no inherited file, working folder `out/`, own HOME and TMPDIR, limits set, sandbox
    entered, threads set. Raises OSError when a part is refused by the system.
    """
    os.setsid()
    _die_with(keeper)
    _reset_signals()
    _replace_files(output)
    folder = Path(request["folder"])
    os.umask(0o077)
    os.chdir(folder / "out")
    _set_environment(folder / "tmp", int(request["threads"]))
    _set_limits(request["limits"])
    enter_sandbox(str(request.get("tier", "basic")), folder)
    _set_threads(int(request["threads"]))


def enter_sandbox(tier: str, folder: Path) -> None:
    """Enter the sandbox tier, for good. Every child passes here, after its limits are set and before any foreign code.

    `folder` is the job's: `in/` is to be read, `out/` and `tmp/` to be written. Raises ValueError for an unknown tier.
    """
    if tier != "basic":
        raise ValueError(f"unknown sandbox tier {tier!r}; this build knows 'basic'")
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def become_subreaper() -> bool:
    """Make orphaned descendants children of this process. False where the system cannot."""
    return prctl(_PR_SET_CHILD_SUBREAPER, 1)


def prctl(option: int, value: int) -> bool:
    """One prctl call; False off Linux or when refused."""
    if not proctree.LINUX:
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)


def _die_with(keeper: int) -> None:
    """Ask the kernel to kill this process when its keeper dies, and check that this has not happened already."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(1)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _replace_files(output: int) -> None:
    """Give this process an empty stdin and the pipe as stdout and stderr; close everything else."""
    sys.stdout.flush()
    sys.stderr.flush()
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    close_files(keep=())
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - likewise
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - likewise
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc] # final by convention only
    # A crash, and a job that is ended from outside, leave their place in the log.
    faulthandler.enable(file=2)
    faulthandler.register(signal.SIGTERM, file=2, chain=True)


def close_files(keep: tuple[int, ...]) -> None:
    """Close every file of this process but stdin, stdout, stderr and those in `keep`."""
    for name in os.listdir("/dev/fd"):
        number = int(name)
        if number > 2 and number not in keep:
            try:
                os.close(number)
            except OSError:  # the listing's own file is closed by now
                continue


def _set_environment(private: Path, threads: int) -> None:
    private.mkdir(mode=0o700, exist_ok=True)
    for name in ("HOME", "TMPDIR", "MPLCONFIGDIR", "JOBLIB_TEMP_FOLDER"):
        os.environ[name] = str(private)
    for name in _THREAD_VARIABLES:
        os.environ[name] = str(threads)
    tempfile.tempdir = None


def _set_limits(limits: Mapping[str, Any]) -> None:
    """Limits per process. The tree as a whole is watched by the keeper; these stop what is faster than its glance."""
    data = proctree.data_size()
    if data:
        # Address space without memory behind it counts here, so the cap is wide; the keeper watches what is resident.
        _lower(resource.RLIMIT_DATA, data + int(limits["memory_mb"]) * MEGABYTE * 3 // 2 + _DATA_HEADROOM)
    _lower(resource.RLIMIT_FSIZE, int(limits["disk_mb"]) * MEGABYTE)
    _lower(resource.RLIMIT_CORE, 0)
    try:
        # When the machine itself runs out of memory, a program is to go before the process that holds the run.
        Path("/proc/self/oom_score_adj").write_text("500")
    except OSError:
        return


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _set_threads(threads: int) -> None:
    if threads > 1:
        # The libraries are loaded with one BLAS thread; environment variables come too late for them.
        import threadpoolctl

        threadpoolctl.threadpool_limits(threads)
