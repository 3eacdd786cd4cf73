"""What each sandbox tier holds, as this user and, where this user is root, as an ordinary one."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graphs.cli.sandbox_advice import apparmor_profile, sandbox_openings, sandbox_problems
from state.errors import SafetyRefused, UsageError
from state.settings import Settings
from tests.support.command import modelwright
from tests.support.sharing import once
from tests.support.tables import loans
from tests.support.tiers import CONTAINED
from tools import sandbox
from tools.executors import seccomp, syscalls, views
from tools.sandbox import Probe

ROOT = Path(__file__).resolve().parents[2]
IS_ROOT = os.getuid() == 0
ROLES = ["", "ordinary"] if IS_ROOT else [""]
_ran: dict[tuple[str, ...], dict[str, Any]] = {}


@pytest.fixture
def sandboxed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Runs tests/support/sandboxed.py once per set of words and gives what it printed.

    Once for all workers: what a job fills of /dev/shm counts for every job that its user runs meanwhile.
    """

    def run(*words: str) -> dict[str, Any]:
        told = tuple(filter(None, words))
        if told not in _ran:
            folder = once(tmp_path_factory, "-".join(("sandboxed", *told)), lambda folder: _run(folder, told))
            _ran[told] = json.loads((folder / "said.json").read_text())
        return _ran[told]

    return run


def _run(folder: Path, told: tuple[str, ...]) -> None:
    folder.chmod(0o777)
    for parent in folder.parents:  # pytest's own are closed to others
        if parent.owner() == folder.owner() and "pytest" in str(parent):
            parent.chmod(0o711)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.sandboxed", str(folder), *told],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "NotPossible" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr
    (folder / "said.json").write_text(done.stdout)


pytestmark = pytest.mark.skipif(not CONTAINED, reason="neither T1 nor T2 can be entered on this machine")
REFUSED = (
    "read a file of the user", "read the job's description", "write an input", "make an input",
    "write a library", "connect to the machine", "connect to a unix socket", "read another process's environment",
    "signal another process", "make a user namespace", "set up an io_uring",
)  # fmt: skip
ALLOWED = ("write an output", "write a temporary file", "run a program of the system")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tier", CONTAINED)
def test_a_contained_program_reaches_nothing_but_its_own(sandboxed: Any, tier: str, role: str) -> None:
    """Files, sockets, processes and the kernel's risky parts are refused; outputs, temporary files, programs are not."""
    told = sandboxed(tier, role)
    assert told["receipt"]["status"] == "done", told["receipt"]["error"]
    found = told["found"]
    assert {name: found[name][0] for name in REFUSED} == dict.fromkeys(REFUSED, "refused")
    assert {name: found[name][0] for name in ALLOWED} == dict.fromkeys(ALLOWED, "done")
    assert found["run a program of the system"][1] == "3"
    assert (told["planted"], told["signals"]) == ([], [])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("tier", CONTAINED)
def test_a_contained_program_has_no_privileges(sandboxed: Any, tier: str, role: str) -> None:
    """A filter is on, nothing can be gained, and no capability is left but the one doctor names for T2 as root."""
    told = sandboxed(tier, role)
    found = told["found"]
    passing = tier == "T2" and told["probe"]["passage"]
    sets = {name: found[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")}
    assert sets == dict.fromkeys(sets, 1 << 2 if passing else 0)
    assert (found["NoNewPrivs"], found["Seccomp"], found["groups"]) == (1, 2, [])
    if told["probe"]["user"] == "spare":
        assert found["uid"] >= 60_000
        assert found["CapBnd"] == (1 << 2 if passing else 0)


@pytest.mark.parametrize("tier", CONTAINED)
def test_shared_memory_is_bounded(sandboxed: Any, tier: str) -> None:
    """A program cannot keep 300 MB in /dev/shm, and nothing of it is there afterwards."""
    told = sandboxed(tier, "")
    assert told["filled"] == ("ENOSPC" if tier == "T1" else "ended: disk")
    if told["probe"]["user"] == "spare" or tier == "T1":
        assert told["left"] == []


@pytest.mark.skipif("T1" not in CONTAINED, reason="T1 cannot be entered on this machine")
def test_a_strong_program_is_alone(sandboxed: Any) -> None:
    """In T1 a program is process 2 of a world whose first process waits for it."""
    assert sandboxed("T1", "")["found"]["pid"] == 2


def test_the_warm_parent_is_hidden_from_its_own_user(sandboxed: Any) -> None:
    """Its environment cannot be read by a process of the same user."""
    told = sandboxed(CONTAINED[0], ROLES[-1])
    if IS_ROOT and ROLES[-1] != "ordinary":
        pytest.skip("root reads everything")
    assert told["hidden"]


# ---- what cannot be entered -----------------------------------------------------------------------------------------


@pytest.mark.skipif("T1" not in CONTAINED, reason="T1 cannot be entered on this machine")
def test_a_tier_that_cannot_be_entered_is_never_half_entered(sandboxed: Any) -> None:
    """Where the system refuses a part of T1 the job ends with the reason, its program never runs, and T2 is chosen."""
    call = "move_mount"
    told = sandboxed("T1", f"without={call}")
    assert told["receipt"]["status"] == "signal"
    assert f"{call}: Operation not permitted" in told["receipt"]["error"]
    assert told["receipt"]["outputs"] == {}
    assert told["probe"]["tier"] == ("T2" if "T2" in CONTAINED else "T3")
    assert f"{call}: Operation not permitted" in told["probe"]["refused"]["T1"]


def test_without_namespaces_and_landlock_the_basic_tier_is_left(sandboxed: Any) -> None:
    """Where both are refused T3 is chosen, and every attempt that T2 refuses succeeds: the test can tell."""
    told = sandboxed("T3", "without=unshare,landlock_create_ruleset")
    assert told["probe"]["tier"] == "T3"
    assert "unshare: Operation not permitted" in told["probe"]["refused"]["T1"]
    assert "no Landlock" in told["probe"]["refused"]["T2"]
    open_there = ("read a file of the user", "write outside", "connect to the machine", "signal another process")
    assert {told["found"][name][0] for name in open_there} == {"done"}
    assert told["signals"]
    assert len(told["planted"]) >= 1


OLDER = """
import importlib, os, signal, sys, types
from pathlib import Path
package = types.ModuleType("worker")
package.__path__ = [sys.argv[1]]
sys.modules["worker"] = package
confine = importlib.import_module("worker.confine")
folder = Path(sys.argv[2])
for name in ("in", "out", "tmp"):
    (folder / name).mkdir()
confine.enter_sandbox("T2", folder, None, guards=[os.getppid()], landlock_version=int(sys.argv[3]))
def refused(action):
    try:
        action()
    except PermissionError:
        return True
    return False
print(refused(lambda: os.kill(os.getppid(), 0)), refused(lambda: os.kill(-1, 0)), refused(lambda: os.kill(0, 0)),
      refused(lambda: os.truncate(sys.argv[4], 0)), refused(lambda: os.open(sys.argv[4], os.O_RDONLY | os.O_TRUNC)),
      refused(lambda: open(sys.argv[4], "w")))
"""


@pytest.mark.skipif("T2" not in CONTAINED, reason="T2 cannot be entered on this machine")
@pytest.mark.parametrize("version", [1, 3, 5, 6])
def test_older_landlock_is_made_up_for_by_the_filter(tmp_path: Path, version: int) -> None:
    """With less of Landlock the processes that matter cannot be signalled and files outside not be cut, all the same."""
    precious = tmp_path / "precious"
    precious.write_text("kept")
    job = tmp_path / "job"
    job.mkdir()
    folder = str(Path(views.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", OLDER, folder, str(job), str(version), str(precious)],
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.split()
    # Landlock 6 lets a program signal "everybody", and that is nobody but itself.
    assert said[:3] == ["True", str(version < 6), "False"], done.stderr
    assert said[3:6] == ["True"] * 3
    assert precious.read_text() == "kept"


# ---- the filter -----------------------------------------------------------------------------------------------------


def decide(program: bytes, audit: int, number: int, *arguments: int) -> int:
    """What the kernel would answer: 0 to pass, else the error number. Runs the filter as the kernel does."""
    data = struct.pack("=iIQ6Q", number, audit, 0, *[*arguments, *[0] * 6][:6])
    lines = [struct.unpack_from("=HBBI", program, place) for place in range(0, len(program), 8)]
    place, word = 0, 0
    while True:
        code, yes, no, value = lines[place]
        place += 1
        match code:
            case 0x20:
                (word,) = struct.unpack_from("=I", data, value)
            case 0x54:
                word &= value
            case 0x15:
                place += yes if word == value else no
            case 0x35:
                place += yes if word >= value else no
            case 0x06:
                return 0 if value == 0x7FFF0000 else value & 0xFFFF | (value & 0xFFFF == 0) << 16


PASS, FAKED = 0, 1 << 16


@pytest.mark.parametrize("machine", syscalls.MACHINES)
@pytest.mark.parametrize("tier", ["T1", "T2"])
def test_the_filter_decides_alike_on_both_machines(machine: str, tier: str) -> None:
    """Run by the kernel's rules, the filters of x86-64 and arm64 give the same answers, by their own numbers."""
    where = syscalls.MACHINES[machine]
    program = seccomp.program(tier, where=where)

    def ask(name: str, *arguments: int) -> int:
        number = syscalls.number(name, where)
        assert number is not None
        return decide(program, where.audit, number, *arguments)

    strong = tier == "T1"
    assert {ask(name) for name in ("ptrace", "unshare", "mount", "setns", "bpf", "keyctl", "kexec_load")} == {1}
    assert {ask(name) for name in ("clone3", "io_uring_setup", "memfd_create")} == {38}
    assert [ask("clone", 0x11), ask("clone", 0x10000011)] == [PASS, 1]
    assert [ask("personality", 0xFFFFFFFF), ask("personality", 0x40000)] == [PASS, 1]
    assert [ask("socket", 1, 1), ask("socket", 1, 2), ask("socket", 2, 1)] == [
        PASS,
        *([PASS, PASS] if strong else [13, 13]),
    ]
    netlink = [ask("socket", 16, 3, 0), ask("socket", 16, 3, 9), ask("socket", 40, 1)]
    assert netlink == ([PASS, 1, 13] if strong else [13, 13, 13])
    assert ask("connect") == (PASS if strong else 13)
    assert [ask("sendto"), ask("sendto", 0, 0, 0, 0, 1 << 32)] == [PASS, PASS if strong else 13]
    assert ask("fchmod") == (PASS if strong else FAKED)
    assert [ask("ioctl", 0, 0x5401), ask("ioctl", 0, 0x5412)] == [PASS, 1]
    assert [ask("prctl", 15), ask("prctl", 4, 1), ask("prctl", 4, 0)] == [PASS, PASS, 1]
    assert [ask("kill", 1), ask("prlimit64", 0), ask("prlimit64", 7)] == [PASS, PASS, PASS if strong else 1]


@pytest.mark.parametrize("machine", syscalls.MACHINES)
def test_calls_of_other_architectures_are_refused(machine: str) -> None:
    """Under another audit name, and by numbers of the x32 ABI, nothing passes."""
    where = syscalls.MACHINES[machine]
    program = seccomp.program("T2", where=where)
    assert decide(program, 0x40000003, 0) == 38
    assert decide(program, where.audit, 0x40000000) == (38 if where.x32_bit else PASS)


def test_guards_cannot_be_signalled_below_landlock_6() -> None:
    """The processes named, their groups and "everybody" are refused by the filter; others pass."""
    where = syscalls.MACHINES["x86_64"]
    program = seccomp.program("T2", landlock=4, protected=[77], where=where)
    asked = [77, -77 & 0xFFFFFFFF, 0xFFFFFFFF, 78]
    for name in ("kill", "tgkill", "rt_sigqueueinfo"):
        assert [decide(program, where.audit, syscalls.number(name, where) or 0, pid) for pid in asked] == [
            1,
            1,
            1,
            PASS,
        ]


HEADERS = {
    "x86_64": (Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"),),
}


@pytest.mark.parametrize("machine", syscalls.MACHINES)
def test_numbers_are_those_of_the_kernel_headers(machine: str) -> None:
    """Each number that the installed headers know is the one in the table."""
    header = next((path for path in HEADERS[machine] if path.exists()), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed")
    pairs = re.findall(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())
    known = {name: int(number) for name, number in pairs}
    where = syscalls.MACHINES[machine]
    ours = {name: syscalls.number(name, where) for name in syscalls.NUMBERS}
    assert {name: number for name, number in ours.items() if name in known} == {
        name: known[name] for name in ours if name in known
    }
    assert len(set(ours) & set(known)) > 90


# ---- choosing and refusing ------------------------------------------------------------------------------------------


def pretend(monkeypatch: pytest.MonkeyPatch, found: Probe) -> None:
    """Let trials come out as on another machine."""
    monkeypatch.setattr(sandbox, "probe", lambda tiers=("T1", "T2"): found)
    monkeypatch.delenv("MODELWRIGHT_SANDBOX", raising=False)


NOTHING = Probe("T3", {"T1": "unshare: Operation not permitted", "T2": "this kernel has no Landlock"})


def test_a_language_model_needs_a_sandbox_or_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only T3 works its programs are refused with both reasons; builtin ones run, and a person may allow all."""
    pretend(monkeypatch, NOTHING)
    assert sandbox.admit(Settings()) == "T3"
    with pytest.raises(SafetyRefused) as refused:
        sandbox.admit(Settings(experts={"engineer": "openai:gpt-5-mini"}))
    assert "this kernel has no Landlock" in str(refused.value)
    assert "--allow-unsandboxed" in str(refused.value)
    assert refused.value.exit_code == 6
    assert sandbox.admit(Settings(expert="openai:gpt-5-mini", allow_unsandboxed=True)) == "T3"
    assert sandbox.admit(Settings(experts={"researcher": "openai:gpt-5-mini"})) == "T3"


def test_a_tier_that_was_asked_for_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """--sandbox T1 is refused where T1 cannot be entered; a name that is no tier is told; T3 can always be had."""
    pretend(monkeypatch, NOTHING)
    with pytest.raises(SafetyRefused, match="unshare: Operation not permitted"):
        sandbox.choose_tier("T1")
    with pytest.raises(UsageError, match="'bwrap' is no sandbox tier"):
        sandbox.choose_tier("bwrap")
    assert sandbox.choose_tier("T3") == "T3"
    monkeypatch.setenv("MODELWRIGHT_SANDBOX", "T2")
    with pytest.raises(SafetyRefused, match="no Landlock"):
        sandbox.choose_tier()


def test_scores_of_the_basic_tier_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What report and manifest say of T3 is more than its name."""
    pretend(monkeypatch, NOTHING)
    assert sandbox.tier() == "basic (T3)"
    assert "scores" in sandbox.mark()
    pretend(monkeypatch, Probe("T1"))
    assert sandbox.mark() == "strong (T1)"


def test_the_command_line_refuses_before_any_work(tmp_path: Path) -> None:
    """`build` with a language model in T3 ends with code 6 and leaves no run behind; with the flag it would go on."""
    data = tmp_path / "loans.csv"
    loans().to_csv(data, index=False)
    arguments = ["build", data, "--target", "default", "--expert", "openai:gpt-5-mini", "--sandbox", "T3"]
    finished = modelwright(*arguments, home=tmp_path / "home")
    assert finished.code == 6
    assert "basic (T3)" in finished.err
    assert "--allow-unsandboxed" in finished.err
    assert not (tmp_path / "home" / "runs").exists() or not list((tmp_path / "home" / "runs").iterdir())


def test_doctor_says_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each tier that cannot be entered comes with its reason and a cure; AppArmor's with a profile for this interpreter."""
    restricted = tmp_path / "restricted"
    restricted.write_text("1\n")
    monkeypatch.setattr("graphs.cli.sandbox_advice._APPARMOR", restricted)
    problems = sandbox_problems(NOTHING)
    assert "unshare: Operation not permitted" in problems[0]
    assert "apparmor_parser" in problems[0]
    assert os.path.realpath(sys.executable) in apparmor_profile()
    assert "Landlock" in problems[1]
    assert "uncontained" in problems[2]
    assert sandbox_problems(Probe("T1")) == []


def test_doctor_says_what_stays_open() -> None:
    """In T2 it names what the machine's state leaves open."""
    as_root = " ".join(sandbox_openings(Probe("T2", landlock=7, user="root")))
    assert "run as root without capabilities" in as_root
    spare = " ".join(sandbox_openings(Probe("T2", landlock=4, user="spare", passage=True)))
    assert "closed folders" in spare
    assert "signals" in spare
    assert "/dev/shm" in " ".join(sandbox_openings(Probe("T2", landlock=7)))
    assert sandbox_openings(Probe("T1", user="spare")) == []


# ---- what may be seen -----------------------------------------------------------------------------------------------


def test_the_view_holds_libraries_and_no_project() -> None:
    """The interpreter's and the libraries' folders are in it; no home, no checkout, no /etc, no whole prefix."""
    seen = views.libraries()
    assert any(views.is_below(os.path.realpath(os.__file__), path) for path in seen)
    assert any(views.is_below(str(Path(pytest.__file__).resolve()), path) for path in seen)
    for private in (ROOT, ROOT / "tools", Path.home(), Path("/etc/passwd"), Path("/usr/src"), Path(sys.prefix)):
        assert not any(views.is_below(str(private), path) for path in seen), private


def test_what_lies_among_libraries_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home among the libraries is refused, since every program could read the labels kept there; one elsewhere is not."""
    pretend(monkeypatch, Probe("T1"))
    among = Path(os.__file__).resolve().parent
    assert views.is_below(str(among), sandbox.visible_in(among / "data.csv", "T1"))
    assert sandbox.visible_in("/dev/shm/data.csv", "T2") == "/dev/shm"
    assert sandbox.visible_in(tmp_path / "data.csv", "T2") == ""
    monkeypatch.setattr(sandbox, "home", lambda: among / "home")
    with pytest.raises(SafetyRefused, match="MODELWRIGHT_HOME"):
        sandbox.admit(Settings())
