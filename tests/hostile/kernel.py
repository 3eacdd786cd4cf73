"""Parts of the kernel that no training program needs, and that have been ways out before."""

from __future__ import annotations

from tests.hostile.attack import Attack, proven

SUBJECT = "kernel surface"

_GOT = "GOT-WHAT-I-WANTED"
_TELL = """
def told(is_so):
    if is_so:
        print("GOT-WHAT-" + "I-WANTED", flush=True)
"""


def _kernel(name: str, program: str, root_only: str = "") -> Attack:
    return Attack(name, SUBJECT, _TELL + program, proven(_GOT), root_only=root_only)


ATTACKS = [
    _kernel("a user and network namespace of one's own", """
before = os.readlink("/proc/self/ns/user")
pid = os.fork()
if pid == 0:
    libc.unshare(0x10000000 | 0x40000000)
    os._exit(os.readlink("/proc/self/ns/user") != before)
told(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1)
"""),
    _kernel("a namespace made by clone and clone3", """
# A child in a new user namespace sees itself as nobody, whoever it was.
def child(name, *arguments):
    pid = syscall(name, *arguments)
    if pid == 0:
        os._exit(7 if os.getuid() == 65534 else 0)
    return pid > 0 and os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
asked = ctypes.create_string_buffer(struct.pack("<11Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0))
told(child("clone3", asked, len(asked.raw) - 1) or child("clone", 0x10000000 | signal.SIGCHLD, None, None, None, None))
"""),
    _kernel("mount a file system", """
os.mkdir("mounted")
here = os.path.abspath("mounted").encode()
told(syscall("mount", b"none", here, b"tmpfs", 0, None) == 0 and os.path.ismount("mounted"))
syscall("umount2", here, 2)
""", root_only="mounting needs CAP_SYS_ADMIN"),
    _kernel("change the root folder", """
before = os.stat("/").st_ino
pid = os.fork()
if pid == 0:
    here = os.getcwd().encode()
    changed = syscall("chroot", here) == 0
    os._exit(changed and os.stat("/").st_ino != before)
told(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1)
""", root_only="chroot needs CAP_SYS_CHROOT"),
    _kernel("io_uring", """
ring = syscall("io_uring_setup", 4, ctypes.create_string_buffer(120))
told(ring >= 0 and "io_uring" in os.readlink(f"/proc/self/fd/{ring}"))
"""),
    _kernel("bpf", """
asked = ctypes.create_string_buffer(struct.pack("<4I", 2, 4, 8, 1), 120)
table = syscall("bpf", 0, asked, 120)
told(table >= 0 and "bpf" in os.readlink(f"/proc/self/fd/{table}"))
""", root_only="bpf is closed to ordinary users by most kernels"),
    _kernel("userfaultfd", """
fault = syscall("userfaultfd", 1)
told(fault >= 0 and "userfaultfd" in os.readlink(f"/proc/self/fd/{fault}"))
"""),
    _kernel("perf_event_open", """
asked = ctypes.create_string_buffer(struct.pack("<IIQQQQQ", 1, 112, 0, 0, 0, 0, 0x60), 112)
counter = syscall("perf_event_open", asked, 0, -1, -1, 0)
told(counter >= 0 and "perf" in os.readlink(f"/proc/self/fd/{counter}"))
"""),
    _kernel("keys added to the kernel's keyring", """
added = syscall("add_key", b"user", T["token"].encode(), b"note", 4, -3)
held = ctypes.create_string_buffer(16)
told(added > 0 and syscall("keyctl", 11, added, held, 16) == 4 and held.value == b"note")
"""),
    _kernel("system calls by the numbers of 32 bit programs", """
import mmap
assert platform.machine() == "x86_64"
# mov eax, 20; int 0x80; ret: getpid as a 32 bit program asks for it, past a filter that knows one table only.
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
told(call() == os.getpid())
"""),
]  # fmt: skip
