"""What a hostile program is, what came of it, and how its success is recognised: by its effect, never by its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tests.hostile.ground import Ground

Control = Literal["T3", "plain"]
"""Where an attack is shown to succeed: in the basic tier, or in the plain subprocess that peers start."""

PRELUDE = """
import ctypes, json, os, platform, signal, socket, stat, struct, sys, time
T = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
PLACE = {"x86_64": 0, "aarch64": 1}[platform.machine()]
NUMBERS = {
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "io_uring_setup": (425, 425),
    "bpf": (321, 280), "userfaultfd": (323, 282), "perf_event_open": (298, 241), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "clone": (56, 220),
    "clone3": (435, 435), "unshare": (272, 97), "mount": (165, 40), "umount2": (166, 39), "shmget": (29, 194),
    "shmat": (30, 196), "shmctl": (31, 195), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "mq_open": (240, 180), "mq_unlink": (241, 181), "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "memfd_create": (319, 279), "chroot": (161, 51),
    "sched_setattr": (314, 274), "prlimit64": (302, 261), "getpid": (39, 172), "pidfd_send_signal": (424, 424),
}

def syscall(name, *arguments):
    "A system call by its number; -1 when it is refused."
    made = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    ctypes.set_errno(0)
    return libc.syscall(ctypes.c_long(NUMBERS[name][PLACE]), *made)

def loot(what):
    "What was won: into the log and into the outputs."
    text = what if isinstance(what, str) else bytes(what).decode("latin-1")
    print(text, flush=True)
    with open("loot.txt", "a", encoding="utf-8") as file:
        file.write(text + "\\n")

def each(tries):
    "Do everything, whatever fails in between."
    for one in tries:
        try:
            one()
        except (OSError, ValueError) as error:
            print(type(error).__name__, error, flush=True)
"""
"""What every program begins with. `T` is what the attacker is told: addresses and places, never a secret."""


@dataclass(frozen=True)
class Ran:
    """What came of one execution, as the trusted side holds it."""

    status: str
    outputs: dict[str, bytes] = field(default_factory=dict)
    """Content of the files that were taken; at most 4 MB of each."""
    log: bytes = b""
    error: str = ""
    seconds: float = 0.0
    grown_mb: float = 0.0
    """By how much the orchestrating process grew meanwhile."""

    def holds(self, secret: str) -> str:
        """Where a secret came out, or an empty text."""
        needle = secret.encode()
        for name, content in self.outputs.items():
            if needle in content:
                return f"the secret came out in {name!r}"
        if needle in self.log or secret in self.error:
            return "the secret came out in the log"
        return ""


Evidence = Callable[["Ground", Ran], str]
"""What shows that an attack succeeded, in a few words; an empty text when nothing does."""


@dataclass(frozen=True)
class Attack:
    """One hostile program."""

    name: str
    subject: str
    program: str
    evidence: Evidence
    control: Control | None = "T3"
    why_no_control: str = ""
    """Set when there is no control: why showing its success would not be harmless."""
    root_only: str = ""
    """Set when the kernel refuses it to an ordinary user in any case: what it needs."""
    sibling: bool = False
    """Another job of the same executor runs at the same time."""
    follow: str = ""
    """Program of a next job; then `evidence` looks at what came of that one."""
    limits: dict[str, Any] = field(default_factory=dict)
    repeats_lost: bool = False
    """The executor may run the job again when its processes were killed."""

    @property
    def text(self) -> str:
        return PRELUDE + self.program

    @property
    def follow_text(self) -> str:
        return PRELUDE + self.follow


# ---- effects --------------------------------------------------------------------------------------------------------


def looted(name: str) -> Evidence:
    """A secret of the ground is in what came back."""
    return lambda ground, ran: ran.holds(ground.secrets[name])


def heard(ground: Ground, ran: Ran) -> str:
    """A listener outside got the token."""
    return "a listener outside got the token" if ground.has_heard() else ""


def proven(text: str) -> Evidence:
    """The program went on to its end and left a proof that only success writes."""

    def evidence(ground: Ground, ran: Ran) -> str:
        return f"it ended well and left {text!r}" if ran.status == "done" and ran.holds(text) else ""

    return evidence


def lives_on(ground: Ground, ran: Ran) -> str:
    """A process that carries the token as its name is still there after the job."""
    left = ground.processes_named_token()
    return f"process {left[0]} is still alive" if left else ""
