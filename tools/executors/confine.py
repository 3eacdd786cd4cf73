"""What a forked child does to itself before it touches a program: its own session, files, limits, sandbox.

Stands alone (standard library only), since it runs inside the warm parent's children. The way in is `confine` for tiers
T2 and T3; init.py uses the parts for T1.
"""

from __future__ import annotations

import errno
import faulthandler
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Relative: the warm parent loads this folder under a name of its own, without our packages.
from . import landlock, privileges, proctree, seccomp, syscalls, views

MEGABYTE = 2**20
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_DUMPABLE = 4
_DATA_HEADROOM = 512 * MEGABYTE
_TASK_MARGIN = 32
"""Processes and threads beyond the limit that the kernel grants, so that the keeper sees it broken and says so."""
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def confine(request: Mapping[str, Any], output: int, keeper: int, user: int | None) -> None:
    """Turn this process, freshly forked by `keeper`, into a job's child in tier T2 or T3 (T1 has init.py).

    `output` becomes stdout and stderr; stdin is empty. `user` is the spare user id that owns the job's folders, if any.

    Afterwards: own session, no inherited file, working folder `out/`, own HOME and TMPDIR, limits set, sandbox
    entered, threads set. Raises OSError, RuntimeError or ValueError when any part is refused: there is no half sandbox.
    """
    os.setsid()
    _die_with(keeper)
    replace_files(output)
    tier = str(request["tier"])
    guards = _protected(request)
    settle(
        request, os.path.join(request["folder"], "tmp"), tasks=_tasks_elsewhere(user, guards) if tier == "T2" else None
    )
    enter_sandbox(tier, Path(request["folder"]), user, guards=guards, pools=_may_pool(request))
    _die_with(keeper)  # the kernel forgets the first one when the user changes
    set_threads(int(request["threads"]))


def settle(request: Mapping[str, Any], private: str, tasks: int | None) -> None:
    """Give this process its signals, working folder, environment, start method and limits.

    `private` is the folder for HOME and temporary files. `tasks` is how many processes and threads its user has besides
    the job's; None leaves their number to the keeper.
    """
    reset_signals()
    # A crash, and a job that is ended from outside, leave their place in the log.
    faulthandler.enable(file=2)
    faulthandler.register(signal.SIGTERM, file=2, chain=True)
    # Hidden by its keeper so far; the keeper looks at a program's memory, which holds nothing of others.
    _try_prctl(_PR_SET_DUMPABLE, 1)
    folder = Path(request["folder"])
    os.umask(0o077)
    os.chdir(folder / "out")
    _set_environment(private, int(request["threads"]))
    _set_limits(request["limits"])
    if tasks is not None:
        _lower(resource.RLIMIT_NPROC, tasks + int(request["limits"]["tasks"]) + _TASK_MARGIN)
    _set_start_method()


def enter_sandbox(
    tier: str,
    folder: Path,
    user: int | None,
    *,
    guards: Iterable[int] = (),
    pools: bool = False,
    landlock_version: int | None = None,
) -> None:
    """Enter tier T2 or T3, for good. Every child passes here, after its limits are set and before any foreign code.

    `folder` is the job's: `in/` is to be read, `out/` and `tmp/` to be written. `user` is a spare user to turn into.
    `guards` are processes it may not signal. `pools` opens /dev/shm and all of /proc in T2. `landlock_version` asks for less
    than the kernel offers (tests).

    Raises ValueError for an unknown tier, and OSError or RuntimeError when a part of the sandbox cannot be entered.
    """
    if proctree.LINUX:
        privileges.gain_nothing()
    if tier == "T3":
        return
    if tier != "T2":
        raise ValueError(f"unknown sandbox tier {tier!r}; entered here are 'T2' and 'T3'")
    version = min(landlock.abi(), landlock_version or landlock.NEWEST)
    if version < 1:
        raise OSError(errno.EOPNOTSUPP, "this kernel has no Landlock (Linux 5.13 and newer), or it is switched off")
    filter_ = seccomp.program("T2", landlock=version, protected=guards, where=machine())
    privileges.become(user, keep=views.passage(folder) if user is not None else ())
    privileges.set_dumpable(True)
    landlock.restrict(views.rules(folder, pools=pools), version)
    seccomp.install(filter_)


def _may_pool(request: Mapping[str, Any]) -> bool:
    """Whether a T2 job gets what pools of processes need, /dev/shm and /proc: when it may use more than one core.

    Folds have labels of rows that other folds are scored on, and could leave them there for each other. So jobs that
    are told to work alone, as folds are, do not get it.
    """
    return int(request.get("n_jobs", 1)) > 1


def become_subreaper() -> bool:
    """Make orphaned descendants children of this process. False where the system cannot."""
    return _try_prctl(_PR_SET_CHILD_SUBREAPER, 1)


def hide() -> bool:
    """Close this process's memory and environment to others of the same user. False where the system cannot."""
    return _try_prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the one that forked it dies."""
    _try_prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _die_with(keeper: int) -> None:
    """Ask the kernel to kill this process when its keeper dies, and check that this has not happened already."""
    die_with_parent()
    if os.getppid() != keeper:
        os._exit(1)


def _try_prctl(option: int, value: int) -> bool:
    try:
        privileges.prctl(option, value)
    except OSError:
        return False
    return True


def machine() -> syscalls.Machine:
    """What the system call filter has to know of this processor. Raises OSError for an unknown one."""
    found = syscalls.machine()
    if found is None:
        raise OSError(errno.ENOSYS, "this processor's system calls are not known here, so they cannot be filtered")
    return found


def _protected(request: Mapping[str, Any]) -> list[int]:
    """Processes a program may never signal: its keeper, the warm parent, the orchestrating process."""
    return [os.getppid(), *(int(pid) for pid in request.get("guards", ()))]


def _tasks_elsewhere(user: int | None, guards: Iterable[int]) -> int | None:
    """Processes and threads the job's user has now; None where the kernel does not limit their number (root)."""
    if user is not None:
        return 0
    me = os.getuid()
    if me == 0:
        return None
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                # Hidden processes of ours seem to belong to root.
                if os.stat(f"/proc/{name}").st_uid == me or int(name) in guards:
                    count += os.stat(f"/proc/{name}/task").st_nlink - 2
            except OSError:  # ended meanwhile
                continue
    return count


def reset_signals() -> None:
    """Forget what the warm parent and the keeper do on signals."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def replace_files(output: int, keep: tuple[int, ...] = ()) -> None:
    """Give this process an empty stdin and the pipe as stdout and stderr; close everything else but `keep`."""
    sys.stdout.flush()
    sys.stderr.flush()
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    close_files(keep)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - likewise
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - likewise
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc] # final by convention only


def close_files(keep: tuple[int, ...]) -> None:
    """Close every file of this process but stdin, stdout, stderr and those in `keep`."""
    for name in os.listdir("/dev/fd"):
        number = int(name)
        if number > 2 and number not in keep:
            try:
                os.close(number)
            except OSError:  # the listing's own file is closed by now
                continue


def _set_environment(private: str, threads: int) -> None:
    for name in ("HOME", "TMPDIR", "MPLCONFIGDIR", "JOBLIB_TEMP_FOLDER"):
        os.environ[name] = private
    for name in ("USER", "LOGNAME"):  # so that nobody needs to look into the system's list of users
        os.environ[name] = "job"
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


def _set_start_method() -> None:
    """Let pools start by fork, as on older Pythons; Python 3.14 would start a server that has to be connected to."""
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.get_start_method() == "forkserver":
        multiprocessing.set_start_method("fork", force=True)


def set_threads(threads: int) -> None:
    """Give BLAS and OpenMP so many threads; one is what they were loaded with."""
    if threads > 1:
        # The libraries are loaded with one BLAS thread; environment variables come too late for them.
        import threadpoolctl

        threadpoolctl.threadpool_limits(threads)
