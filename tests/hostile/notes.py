"""Leaving something for the next job: a program that remembers rows needs a place where the next one finds them."""

from __future__ import annotations

from tests.hostile.attack import Attack, Ran
from tests.hostile.ground import Ground

SUBJECT = "between jobs"


def _found(ground: Ground, ran: Ran) -> str:
    return "the next job found the note" if ran.holds(f"{ground.token}-note") else ""


def _note(name: str, leave: str, find: str) -> Attack:
    return Attack(name, SUBJECT, 'NOTE = T["token"].encode() + b"-note"\n' + leave, _found, follow=find)


FOLDERS = """
FOLDERS = ["/tmp", "/var/tmp", "/dev/shm", T["folder"], T["home"], os.path.join(T["home"], "jobs"),
           os.path.join(T["home"], "jobs", "cache"), os.path.expanduser("~")]
"""

ATTACKS = [
    _note("a file in a folder that others see", FOLDERS + """
each([lambda folder=folder: open(f"{folder}/{T['token']}", "wb").write(NOTE) for folder in FOLDERS])
""", FOLDERS + """
each([lambda folder=folder: loot(open(f"{folder}/{T['token']}", "rb").read()) for folder in FOLDERS])
"""),
    _note("the own working folder and its neighbours", """
each([lambda up=up: open(f"{up}/{T['token']}", "wb").write(NOTE) for up in (".", "..", "../..", "../../..", "../in", "../tmp")])
""", """
for parent, _, names in os.walk(os.path.join(T["home"], "jobs")):
    if T["token"] in names:
        each([lambda: loot(open(os.path.join(parent, T["token"]), "rb").read())])
each([lambda up=up: loot(open(f"{up}/{T['token']}", "rb").read()) for up in (".", "..", "../..", "../../..", "../in", "../tmp")])
"""),
    _note("shared memory of the old kind", """
libc.shmat.restype = ctypes.c_void_p
area = libc.shmget(int(T["token"][2:8], 16), 4096, 0o1666)
if area >= 0:
    address = libc.shmat(area, None, 0)
    ctypes.memmove(address, NOTE, len(NOTE))
""", """
libc.shmat.restype = ctypes.c_void_p
area = libc.shmget(int(T["token"][2:8], 16), 4096, 0)
if area >= 0:
    loot(ctypes.string_at(libc.shmat(area, None, 0), 64))
    libc.shmctl(area, 0, None)
"""),
    _note("a message queue of the old kind", """
queue = libc.msgget(int(T["token"][2:8], 16), 0o1666)
if queue >= 0:
    libc.msgsnd(queue, struct.pack("<q", 1) + NOTE, len(NOTE), 0o4000)
""", """
queue = libc.msgget(int(T["token"][2:8], 16), 0)
if queue >= 0:
    held = ctypes.create_string_buffer(256)
    libc.msgrcv(queue, held, 200, 0, 0o4000)
    loot(held.raw)
    libc.msgctl(queue, 0, None)
"""),
    _note("a message queue with a name", """
queue = syscall("mq_open", T["token"].encode(), os.O_CREAT | os.O_RDWR | os.O_NONBLOCK, 0o666, None)
if queue >= 0:
    syscall("mq_timedsend", queue, NOTE, len(NOTE), 0, None)
""", """
queue = syscall("mq_open", T["token"].encode(), os.O_RDWR | os.O_NONBLOCK)
if queue >= 0:
    held = ctypes.create_string_buffer(65536)
    syscall("mq_timedreceive", queue, held, len(held.raw), None, None)
    loot(held.raw[:256])
    syscall("mq_unlink", T["token"].encode())
"""),
    _note("a key in the keyring", """
for ring in (-3, -4, -5):
    key = syscall("add_key", b"user", T["token"].encode(), NOTE, len(NOTE), ring)
    syscall("keyctl", 15, key, 60)  # gone after a minute, should it have worked
""", """
key = syscall("request_key", b"user", T["token"].encode(), None, 0)
held = ctypes.create_string_buffer(256)
if key > 0 and syscall("keyctl", 11, key, held, 256) > 0:
    loot(held.raw)
"""),
    _note("the counter of a semaphore", """
set_of = libc.semget(int(T["token"][2:8], 16), 64, 0o1666)
if set_of >= 0:
    for place, byte in enumerate(NOTE[:60]):
        libc.semctl(set_of, place, 16, byte)
""", """
set_of = libc.semget(int(T["token"][2:8], 16), 64, 0)
if set_of >= 0:
    loot(bytes(libc.semctl(set_of, place, 12) for place in range(60)).rstrip(b"\\0"))
    libc.semctl(set_of, 0, 0)
"""),
]  # fmt: skip
