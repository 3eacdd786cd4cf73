"""Other processes: ending, stopping, reading and steering them; and outliving the job."""

from __future__ import annotations

from tests.hostile.attack import Attack, Ran, lives_on, looted
from tests.hostile.ground import Ground

SUBJECT = "processes"

NAMED = """
libc.prctl(15, T["token"].encode())  # the name under which the test looks for us
"""


def _victim_died(ground: Ground, ran: Ran) -> str:
    return "" if ground.victim_is_alive() else "another process of the user was killed"


def _victim_marked(ground: Ground, ran: Ran) -> str:
    return "" if ground.victim_marks() == ground.untouched else "another process of the user was changed"


def _signalled(ground: Ground, ran: Ran) -> str:
    return "the orchestrating process got a signal" if ground.signals else ""


def _memory_changed(ground: Ground, ran: Ran) -> str:
    same = ground.memory.value.decode() == ground.secrets["memory"]
    return "" if same else "memory of the orchestrating process was changed"


def _lost(ground: Ground, ran: Ran) -> str:
    return "the process that watched over the job was killed" if "watched over it was killed" in ran.error else ""


def _zygote_gone(ground: Ground, ran: Ran) -> str:
    return "" if ground.zygote_is_alive() else "the warm parent was killed"


def _sibling_gone(ground: Ground, ran: Ran) -> str:
    return "" if ground.siblings_are_alive() else "a process of another job was killed"


READ_MEMORY = """
class Vec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
def vectors(address, held):
    return (ctypes.byref(Vec(ctypes.addressof(held), len(held))), 1, ctypes.byref(Vec(address, len(held))), 1)
held = ctypes.create_string_buffer(64)
"""

ATTACKS = [
    Attack("kill another process of the user", SUBJECT, """
os.kill(T["victim"], signal.SIGKILL)
time.sleep(0.05)
""", _victim_died),
    Attack("kill another process through a pidfd", SUBJECT, """
syscall("pidfd_send_signal", syscall("pidfd_open", T["victim"], 0), signal.SIGKILL, None, 0)
time.sleep(0.05)
""", _victim_died),
    Attack("signal the orchestrating process", SUBJECT, """
os.kill(T["orchestrator"], signal.SIGUSR1)
time.sleep(0.05)
""", _signalled),
    Attack("kill a job beside this one", SUBJECT, """
each([lambda pid=pid: os.kill(pid, signal.SIGKILL) for pid in T["sibling"]])
time.sleep(0.05)
""", _sibling_gone, sibling=True),
    Attack("kill the process that watches over the job", SUBJECT, """
if os.getppid() > 1:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.2)
""", _lost, repeats_lost=True),
    Attack("kill the warm parent", SUBJECT, """
os.kill(T["zygote"], signal.SIGKILL)
time.sleep(0.2)
""", _zygote_gone, repeats_lost=True),
    Attack("end another process by a limit on its processor time", SUBJECT, """
import resource
each([lambda: resource.prlimit(T["victim"], resource.RLIMIT_CORE, (0, 0)),
      lambda: resource.prlimit(T["victim"], resource.RLIMIT_CPU, (0, 0))])
""", _victim_marked),
    Attack("slow another process down", SUBJECT, """
each([lambda: os.setpriority(os.PRIO_PROCESS, T["victim"], 19),
      lambda: os.sched_setscheduler(T["victim"], os.SCHED_IDLE, os.sched_param(0)),
      lambda: os.sched_setaffinity(T["victim"], {min(os.sched_getaffinity(0))})])
""", _victim_marked),
    Attack("read memory of another process with ptrace", SUBJECT, """
libc.ptrace.restype = ctypes.c_long
word = ctypes.c_long
if libc.ptrace(word(16), word(T["victim"]), None, None) == 0:
    os.waitpid(T["victim"], 0)
    loot(b"".join(
        (libc.ptrace(word(1), word(T["victim"]), ctypes.c_void_p(T["victim_address"] + 8 * step), None) & (2**64 - 1)
         ).to_bytes(8, "little") for step in range(5)))
    libc.ptrace(word(17), word(T["victim"]), None, None)
""", looted("memory")),
    Attack("read memory with process_vm_readv", SUBJECT, READ_MEMORY + """
for pid, address in ((T["victim"], T["victim_address"]), (T["orchestrator"], T["address"])):
    if syscall("process_vm_readv", pid, *vectors(address, held), 0) > 0:
        loot(held.raw)
""", looted("memory")),
    Attack("read memory through /proc", SUBJECT, """
def read(pid, address):
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(address)
        loot(memory.read(64))
each([lambda: read(T["victim"], T["victim_address"]), lambda: read(T["orchestrator"], T["address"])])
""", looted("memory")),
    Attack("change memory of the orchestrating process", SUBJECT, READ_MEMORY + """
held.value = b"score 1.0"
syscall("process_vm_writev", T["orchestrator"], *vectors(T["address"], held), 0)
def write():
    with open(f"/proc/{T['orchestrator']}/mem", "r+b", 0) as memory:
        memory.seek(T["address"])
        memory.write(b"score 1.0\\0")
each([write])
""", _memory_changed),
    Attack("memory of other jobs in one's own", SUBJECT, """
# A child is a copy of the warm parent: were anything of another job left there, it would be here too.
wanted = b"-".join([b"SECRET", b"sibling", b""])
for line in open("/proc/self/maps"):
    span, rights = line.split()[:2]
    begin, end = (int(part, 16) for part in span.split("-"))
    if rights.startswith("rw") and end - begin < 2**28:
        with open("/proc/self/mem", "rb", 0) as memory:
            memory.seek(begin)
            try:
                data = memory.read(end - begin)
            except OSError:
                continue
        place = data.find(wanted)
        while place >= 0:
            loot(data[place:place + 40])
            place = data.find(wanted, place + 1)
""", looted("sibling"), control=None, sibling=True,
        why_no_control="a child never has another's memory, in any tier"),
    Attack("ignore every signal and spin", SUBJECT, NAMED + """
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
until = time.monotonic() + 20
while time.monotonic() < until:
    time.sleep(0.01)
""", lives_on, control="plain", limits={"seconds": 0.8}),
    Attack("a daemonised grandchild", SUBJECT, """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        libc.prctl(15, T["token"].encode())
        libc.prctl(1, 0)
        for number in (1, 2, 15):
            signal.signal(number, signal.SIG_IGN)
        for number in range(3):
            os.close(number)
        time.sleep(15)
    os._exit(0)
time.sleep(0.1)
""", lives_on, control="plain"),
    Attack("processes that are born quicker than they are killed", SUBJECT, NAMED + """
until = time.monotonic() + 4
def chain():
    for number in range(3):
        os.close(number)
    while time.monotonic() < until:
        if os.fork():
            os._exit(0)
        os.setsid()
        time.sleep(0.006)
    os._exit(0)
for _ in range(4):
    if os.fork() == 0:
        chain()
time.sleep(0.1)
""", lives_on, control="plain"),
]  # fmt: skip
