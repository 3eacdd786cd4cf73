"""Changing what lies outside the job's folder."""

from __future__ import annotations

import os
import stat

from tests.hostile.attack import Attack, Evidence, Ran, looted
from tests.hostile.ground import Ground

SUBJECT = "files"


def _changed(name: str) -> Evidence:
    def evidence(ground: Ground, ran: Ran) -> str:
        return "" if ground.content(name) == ground.secrets["outside"] else f"{name!r} outside is changed or gone"

    return evidence


def _exists(*names: str) -> Evidence:
    def evidence(ground: Ground, ran: Ran) -> str:
        made = [name for name in names if os.path.lexists(ground.place / name)]
        return f"{made[0]!r} was made outside" if made else ""

    return evidence


def _stamped(ground: Ground, ran: Ran) -> str:
    """Any of what `stat` and the extended attributes say has changed."""
    path = ground.place / "stamp"
    facts = path.stat()
    if stat.S_IMODE(facts.st_mode) != 0o600:
        return f"the mode outside is now {stat.S_IMODE(facts.st_mode):o}"
    if facts.st_mtime != 1_000_000_000:
        return "the time of a file outside was changed"
    if (facts.st_uid, facts.st_gid) != (os.getuid(), os.getgid()):
        return "the owner of a file outside was changed"
    return "an attribute of a file outside was set" if os.listxattr(path) else ""


ATTACKS = [
    Attack("append to a file outside", SUBJECT, """
open(T["place"] + "/append", "a").write(T["token"])
""", _changed("append")),
    Attack("make files, folders, pipes and links outside", SUBJECT, """
place = T["place"]
each([lambda: open(place + "/made-file", "w").write("x"), lambda: os.mkdir(place + "/made-folder"),
      lambda: os.mkfifo(place + "/made-pipe"), lambda: os.symlink("/", place + "/made-link"),
      lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).bind(place + "/made-socket"),
      lambda: os.link(os.path.abspath(sys.argv[0]), place + "/made-hard")])
""", _exists("made-file", "made-folder", "made-pipe", "made-link", "made-socket", "made-hard")),
    Attack("delete a file outside", SUBJECT, """
os.unlink(T["place"] + "/delete")
""", _changed("delete")),
    Attack("rename over a file outside", SUBJECT, """
open("mine", "w").write("mine")
each([lambda: os.rename("mine", T["place"] + "/over"), lambda: os.link("mine", T["place"] + "/over")])
""", _changed("over")),
    Attack("move a file in from outside", SUBJECT, """
os.rename(T["place"] + "/move", "moved")
""", _changed("move")),
    Attack("truncate a file outside", SUBJECT, """
each([lambda: os.truncate(T["place"] + "/truncate", 0), lambda: open(T["place"] + "/truncate", "w").close()])
""", _changed("truncate")),
    Attack("chmod a file outside, by every call", SUBJECT, """
path = T["place"].encode() + b"/stamp"
def handle(flags):
    return os.open(path, flags)
each([lambda: os.chmod(path, 0o777), lambda: syscall("fchmodat", -100, path, 0o777),
      lambda: syscall("fchmodat2", -100, path, 0o777, 0), lambda: os.fchmod(handle(os.O_RDONLY), 0o777),
      lambda: syscall("fchmodat2", handle(os.O_PATH), b"", 0o777, 0x1000),
      lambda: os.chmod(f"/proc/self/fd/{handle(os.O_PATH)}", 0o777)])
""", _stamped),
    Attack("set the times of a file outside", SUBJECT, """
path = T["place"] + "/stamp"
each([lambda: os.utime(path, (1, 1)), lambda: os.utime(path, (1, 1), follow_symlinks=False),
      lambda: os.utime(os.open(path, os.O_PATH), (1, 1)), lambda: os.utime(f"/proc/self/fd/{os.open(path, os.O_PATH)}", (1, 1))])
""", _stamped),
    Attack("set an extended attribute of a file outside", SUBJECT, """
path = T["place"] + "/stamp"
each([lambda: os.setxattr(path, "user.hostile", b"x"), lambda: os.setxattr(path, "user.hostile", b"x", follow_symlinks=False),
      lambda: os.setxattr(f"/proc/self/fd/{os.open(path, os.O_PATH)}", "user.hostile", b"x")])
""", _stamped),
    Attack("give a file outside to somebody else", SUBJECT, """
path = T["place"] + "/stamp"
each([lambda: os.chown(path, 12345, 12345), lambda: os.lchown(path, 12345, 12345)])
""", _stamped, root_only="giving files away needs CAP_CHOWN"),
    Attack("write through a symlink", SUBJECT, """
os.symlink(T["place"] + "/target", "innocent")
open("innocent", "a").write(T["token"])
""", _changed("target")),
    Attack("read through a symlink", SUBJECT, """
os.symlink(T["place"], "innocent")
loot(open("innocent/target").read())
""", looted("outside")),
    Attack("read and write through a hard link", SUBJECT, """
os.link(T["place"] + "/link", "hard")
loot(open("hard").read())
""", looted("outside")),
    Attack("write into a job beside this one", SUBJECT, """
for parent, folders, _ in os.walk(os.path.join(T["home"], "jobs")):
    if "out" in folders and not os.path.samefile(os.path.join(parent, "out"), "."):
        each([lambda: open(os.path.join(parent, "out", "predictions.npy"), "w").write(T["token"])])
""", lambda ground, ran: "a file was put among the outputs of another job" if any(
        path.read_text() == ground.token for path in ground.home.glob("jobs/*/*/out/predictions.npy")) else "", sibling=True),
    Attack("poison the cache of the warm parent", SUBJECT, """
cache = os.path.join(T["home"], "jobs", "cache")
each([lambda: open(os.path.join(cache, "sitecustomize.py"), "w").write("# " + T["token"]),
      lambda: os.makedirs(os.path.join(cache, ".config"))])
""", lambda ground, ran: "the cache of the warm parent holds a planted file" if any(
        (ground.home / "jobs" / "cache" / name).exists() for name in ("sitecustomize.py", ".config")) else ""),
]  # fmt: skip
