"""What surrounds a program while it runs: its environment, its share of memory, and the sandbox tier.

What each tier holds and what it leaves open is told in docs/security.md, in short:

- every tier: a process group of its own, killed whole at the end, at a limit, when the awaiting task is cancelled and
  when the orchestrating process dies; an environment made from an allow-list; hard limits on wall time, memory of the
  whole tree, disk, output, processes and threads; no inherited file; outputs taken by a collector that follows no link.
- "standard (T2)" adds Landlock and a system call filter: no network, no file but libraries and the job's own, no
  signal to other processes; nothing needs to be installed or allowed.
- "strong (T1)" adds namespaces: the job has mounts, processes, a network and shared memory of its own, all empty.
- "basic (T3)" is what remains where neither can be entered (macOS, old kernels). A program runs as the same user: it
  can open the network, read whatever this user can read (the data file and the store with its labels included) and
  signal this user's processes. Nothing can prevent that there; what we do is to put nothing but a job's inputs into
  its folder, to keep secrets out of its environment and labels out of its inputs, and to say so beside every score.
  Code that nobody has read must not run in this tier without a person's word.

On systems without /proc the limits are sampled once a second, descendants that leave their session are not found, and
orphans are possible.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from state.errors import SafetyRefused, UsageError
from tools.experts.provider import is_builtin
from tools.home import home

if TYPE_CHECKING:
    from state.settings import Settings

TIERS = {"T1": "strong (T1)", "T2": "standard (T2)", "T3": "basic (T3)"}
"""Short name → the name people see."""
UNCONTAINED = (
    "a program can read this user's files and open the network, so nothing protects keys, data or scores from it"
)
_WRITERS = ("engineer", "operations")
"""Roles whose answers are run."""
_LIBRARY_FOLDERS = ("site-packages", "dist-packages")
_probing = threading.Lock()
_probes: dict[tuple[str, ...], Probe] = {}

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
_MEMORY_SHARE = 0.8
_LEAST_MEMORY_MB = 512
_CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Folder, limit, use, and the line of memory.stat that names file cache the kernel gives back: version 2, version 1."""


@dataclass(frozen=True)
class Probe:
    """What the tiers of this machine came to."""

    tier: str
    """Short name of the strongest tier that works."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Stronger tiers, short names, with the reason why they cannot be entered."""
    landlock: int = 0
    """Version of Landlock; 0 when there is none."""
    user: str = "own"
    """Whom programs run as in T1 and T2: "spare" (a user id of nobody), "root" or "own"."""
    passage: bool = False
    """In T2, programs of a spare user keep the capability to pass closed folders; Landlock says which files."""

    @property
    def name(self) -> str:
        return TIERS[self.tier]


def checked_tier(name: str) -> str:
    """A tier's short name, or UsageError."""
    if name not in TIERS:
        raise UsageError(f"{name!r} is no sandbox tier", hint=f"tiers are auto, {', '.join(TIERS)}")
    return name


def choose_tier(wanted: str = "auto") -> str:
    """Short name of the tier to use: the wanted one, or the strongest that a real trial found. Tried once per process.

    MODELWRIGHT_SANDBOX stands in for "auto". Raises SafetyRefused when the wanted tier cannot be entered here.
    """
    if wanted == "auto":
        wanted = os.environ.get("MODELWRIGHT_SANDBOX", "").strip() or "auto"
    if wanted == "auto":
        return probe().tier
    if checked_tier(wanted) != "T3" and probe((wanted,)).tier != wanted:
        raise SafetyRefused(
            f"sandbox tier {TIERS[wanted]} was asked for, and cannot be entered here: {probe((wanted,)).refused[wanted]}",
            hint="`modelwright doctor` says what this machine offers; without --sandbox the strongest tier is taken",
        )
    return wanted


def probe(tiers: tuple[str, ...] = ("T1", "T2")) -> Probe:
    """Try tiers by running a small program in each, strongest first, until one works. Tried once per process.

    Writes a folder below our home, and removes it.
    """
    with _probing:
        if tiers not in _probes:
            _probes[tiers] = _probe(tiers)
        return _probes[tiers]


def tier(wanted: str = "auto") -> str:
    """Name of the sandbox tier jobs run in, as doctor, progress, report and manifest show it."""
    return TIERS[choose_tier(wanted)]


def mark(wanted: str = "auto") -> str:
    """The tier's name for report and manifest; in T3 with the warning that belongs to every score."""
    name = tier(wanted)
    return f"{name}: {UNCONTAINED}" if name == TIERS["T3"] else name


def admit(settings: Settings) -> str:
    """The tier for a run of these settings, before any work.

    Raises SafetyRefused when programs of a language model would run in T3 and nobody has allowed it, and when what we
    keep lies where programs can read it in any tier.
    """
    chosen = choose_tier(settings.sandbox)
    if chosen != "T3" and (folder := visible_in(home(), chosen)):
        raise SafetyRefused(
            f"our own folder {str(home())!r} lies in {folder!r}, which every program may read, labels included",
            hint="set MODELWRIGHT_HOME to a folder of your own",
        )
    writers = _foreign_writers(settings)
    if chosen == "T3" and writers and not settings.allow_unsandboxed:
        why = "".join(f"\n  {TIERS[one]}: {reason}" for one, reason in probe().refused.items())
        raise SafetyRefused(
            f"programs written by {settings.expert_for(writers[0])!r} would run in sandbox tier {TIERS['T3']}, "
            f"where {UNCONTAINED}{why}",
            hint="`modelwright doctor` says how to get a stronger tier; the builtin expert may run as it is; "
            "--allow-unsandboxed runs such programs all the same",
        )
    return chosen


def visible_in(path: str | Path, tier: str) -> str:
    """The folder through which programs of T1 or T2 can read a path, since it holds libraries; empty when they cannot."""
    from tools.executors import views

    names = {os.path.abspath(path), os.path.realpath(path)}
    folders = (*views.libraries(), *([views.SHARED_MEMORY] if tier == "T2" else []))
    return next((folder for folder in folders if any(views.is_below(name, folder) for name in names)), "")


def begin_trial(settings: Settings) -> None:
    """Find the tier in the background, for whoever will ask soon; wait for it only where it decides about the run.

    Raises what `admit` raises.
    """
    if settings.sandbox != "auto" or _foreign_writers(settings):
        admit(settings)
    else:
        threading.Thread(target=probe, name="modelwright-sandbox", daemon=True).start()


def _foreign_writers(settings: Settings) -> list[str]:
    return [role for role in _WRITERS if not is_builtin(settings.expert_for(role))]


def _probe(tiers: tuple[str, ...]) -> Probe:
    if not sys.platform.startswith("linux"):
        return Probe("T3", dict.fromkeys(tiers, "only Linux has what it needs"))
    with tempfile.TemporaryDirectory(prefix="probe-", dir=home(), ignore_cleanup_errors=True) as folder:
        told = {
            "folder": os.path.realpath(folder),
            "tiers": tiers,
            "prefix": sys.prefix,
            "path": [path for path in sys.path if os.path.basename(path) in _LIBRARY_FOLDERS],
        }
        script = Path(__file__).with_name("executors") / "probe.py"
        done = subprocess.run(
            [sys.executable, "-S", "-P", "-B", str(script), json.dumps(told)],
            env=environment(Path(folder), 1),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        words = done.stderr.strip().splitlines()
        return Probe("T3", dict.fromkeys(tiers, words[-1] if words else f"the trial ended with {done.returncode}"))
    return Probe(**{**answer, "tier": answer["tier"] or "T3"})


def environment(folder: Path, threads: int) -> dict[str, str]:
    """The whole environment of the process that programs are forked from. `folder` is its HOME, TMPDIR, MPLCONFIGDIR.

    Programs get a HOME, TMPDIR and MPLCONFIGDIR of their own after the fork. `threads` is what OpenMP may use per job.
    BLAS starts with one thread whatever `threads` says, since a process with threads cannot be forked safely; a job
    that may use more raises it for itself.
    """
    passed = {name: os.environ[name] for name in _PASSED_ON if os.environ.get(name)}
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **passed,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "MPLCONFIGDIR": str(folder),
        "MPLBACKEND": "agg",
        "TZ": "UTC",
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "VECLIB_MAXIMUM_THREADS": "1",
        "NUMEXPR_NUM_THREADS": "1",
        # libarrow starts a housekeeping thread when it is loaded; threads do not survive a fork.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
        # macOS aborts forked children that touch Objective-C classes unless told otherwise.
        "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        # Pools and shared memory that a program does not close are cleaned up behind it; no need to tell in its log.
        "PYTHONWARNINGS": "ignore:resource_tracker",
    }


def library_paths() -> list[str]:
    """Folders with libraries that this interpreter sees and an isolated one would not (user site, PYTHONPATH, .pth).

    Only folders that hold installed distributions count, so that a checkout or the working folder is not passed on.
    """
    default = {os.path.realpath(path) for path in site.getsitepackages()}
    found = []
    for path in sys.path:
        is_library = os.path.basename(path) in _LIBRARY_FOLDERS
        if is_library and os.path.realpath(path) not in default and os.path.isdir(path):
            found.append(path)
    return found


def default_memory_mb(slots: int) -> int:
    """Most megabytes one program may use: 80 % of what is free now, shared between the slots, at least 512."""
    import psutil

    free = psutil.virtual_memory().available
    room = _cgroup_room()
    if room is not None:
        free = min(free, room)
    return max(_LEAST_MEMORY_MB, int(free * _MEMORY_SHARE / 2**20 / max(1, slots)))


def _cgroup_room() -> int | None:
    """Bytes left in this container's memory limit; None where there is no limit."""
    for folder, most, used, cache in _CGROUPS:
        try:
            limit, current = Path(folder, most).read_text().strip(), int(Path(folder, used).read_text())
            facts = dict(line.split() for line in Path(folder, "memory.stat").read_text().splitlines())
        except (OSError, ValueError):
            continue
        # Version 2 says "max" for "no limit", version 1 a number near 2^63.
        if limit.isdigit() and int(limit) < 2**60:
            return max(0, int(limit) - current + int(facts.get(cache, 0)))
    return None
