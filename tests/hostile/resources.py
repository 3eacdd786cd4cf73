"""Memory, disk, processes and output beyond the limits. A proof is written only by a program that got away with it."""

from __future__ import annotations

from tests.hostile.attack import Attack, Ran, proven
from tests.hostile.ground import Ground

SUBJECT = "memory and disk"

_HELD = proven("HELD-ALL-OF-IT")
_HOLD = """
time.sleep(4)  # several looks of whoever watches, also on a busy machine
print("HELD-ALL-" + "OF-IT", flush=True)
"""
_LIMITS = {"memory_mb": 400, "disk_mb": 60, "seconds": 60.0}
GROWTH_MB = 40.0
"""The orchestrating process may grow by less than this while a program prints 200 MB."""


def _parent_grew(ground: Ground, ran: Ran) -> str:
    return f"the orchestrating process grew by {ran.grown_mb:.0f} MB" if ran.grown_mb > GROWTH_MB else ""


ATTACKS = [
    Attack("fork bomb, bounded", SUBJECT, """
born = 0
for _ in range(150):
    if os.fork() == 0:
        time.sleep(8)
        os._exit(0)
    born += 1
""" + _HOLD, _HELD, control="plain", limits={"tasks": 40, "memory_mb": 4000, "seconds": 60.0}),
    Attack("threads without number", SUBJECT, """
import threading
for _ in range(150):
    threading.Thread(target=time.sleep, args=(8,), daemon=True).start()
""" + _HOLD, _HELD, control="plain", limits={"tasks": 40, "seconds": 60.0}),
    Attack("memory of one process", SUBJECT, """
held = bytearray(550_000_000)
held[::4096] = b"x" * len(held[::4096])
""" + _HOLD, _HELD, control="plain", limits=_LIMITS),
    Attack("memory of a tree of three", SUBJECT, """
for _ in range(3):
    if os.fork() == 0:
        held = bytearray(190_000_000)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(8)
        os._exit(0)
time.sleep(0.5)
""" + _HOLD, _HELD, control="plain", limits=_LIMITS),
    Attack("memory in anonymous files", SUBJECT, """
block = b"x" * 10_000_000
for number in range(10):
    file = os.memfd_create(f"held{number}")
    for _ in range(5):
        os.write(file, block)
""" + _HOLD, _HELD, control="plain", limits=_LIMITS),
    Attack("disk by one file", SUBJECT, """
with open("large", "wb") as file:
    for _ in range(20):
        file.write(b"x" * 10_000_000)
os.truncate("large", 0)
""" + _HOLD, _HELD, control="plain", limits=_LIMITS),
    Attack("disk by many files", SUBJECT, """
for number in range(25):
    open(f"part{number}", "wb").write(b"x" * 5_000_000)
time.sleep(4)
for number in range(25):
    os.unlink(f"part{number}")
""" + _HOLD, _HELD, control="plain", limits=_LIMITS),
    Attack("disk by files without a name", SUBJECT, """
files = []
for number in range(4):
    files.append(open(f"gone{number}", "wb"))
    os.unlink(f"gone{number}")
    files[-1].write(b"x" * 40_000_000)
    files[-1].flush()
time.sleep(4)
""" + _HOLD, _HELD, control="plain", limits=_LIMITS),
    Attack("shared memory under /dev/shm", SUBJECT, """
for number in range(10):
    with open(f"/dev/shm/{T['token']}-{number}", "wb") as file:
        file.write(b"x" * 50_000_000)
""" + _HOLD, _HELD, control="plain", limits=_LIMITS),
    Attack("the folder for temporary files of all", SUBJECT, """
for number in range(4):
    with open(f"/tmp/{T['token']}-{number}", "wb") as file:
        file.write(b"x" * 40_000_000)
time.sleep(4)
""" + _HOLD, _HELD, control="plain", limits=_LIMITS),
    Attack("200 MB of output", SUBJECT, """
block = b"x" * 1_000_000
for _ in range(200):
    os.write(1, block)
""", _parent_grew, control="plain", limits={"seconds": 30.0}),
]  # fmt: skip
