"""The ground an attack is made on: real secrets, files, listeners and processes of the user who runs jobs.

Everything lies in one folder of its own and is made anew for each attack where an attack could change it. Nothing that
belongs to somebody else is ever a target: programs are told exact places and process ids of this ground.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd

from tests.hostile.listeners import Listeners
from tools.artifacts import FolderArtifacts
from tools.catalogue import Catalogue

KEY_VARIABLE = "CANARY_API_KEY"
"""The variable of the orchestrating process that holds a key; set before that process starts."""
_NAMES = "ssh outside file home labels csv store memory victim argument descriptor keyring wire sibling"
_VICTIM = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.prctl(0x59616D61, ctypes.c_ulong(-1).value)  # where Yama rules: anybody of this user may trace us
secret = ctypes.create_string_buffer(sys.stdin.readline().strip().encode())
print(ctypes.addressof(secret), flush=True)
sys.stdin.read()  # until the ground is left, however long that takes
"""


class Ground:
    """A context manager. `facts()` is what an attacker is told; `secrets` is what must not come out."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="modelwright-hostile-"))
        mark = os.urandom(4).hex()
        self.secrets = {name: f"SECRET-{name}-{os.urandom(8).hex()}" for name in _NAMES.split()}
        self.secrets["key"] = os.environ.get(KEY_VARIABLE, "")
        self.secrets["labels"] = repr(float(np.random.default_rng().uniform(1e5, 9e5)))
        self.needle = float(np.random.default_rng().uniform(1e5, 9e5))
        self.since = time.time() - 5.0
        self.home = self.folder / "home"
        self.listeners = Listeners(self.folder, mark, self.secrets["wire"])
        self.memory = ctypes.create_string_buffer(self.secrets["memory"].encode(), 256)
        self.signals = 0
        self.token = ""
        self.place = self.folder
        self.zygote = 0
        self.sibling_pids: list[int] = []
        self.untouched: tuple[Any, ...] = ()
        """What the victim's marks are when nobody has touched it."""
        self._victim: subprocess.Popen[str] | None = None
        self._victim_address = 0

    def __enter__(self) -> Self:
        self._private_home()
        self._labels()
        self._own_descriptor()
        self._own_keyring()
        self._in_real_home()
        self.listeners.start()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._count_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listeners.close()
        if self._victim is not None:
            self._victim.kill()
            self._victim.communicate()
        if self.real_home_file is not None:
            self.real_home_file.unlink(missing_ok=True)
        # Not shutil.rmtree, which gives up on a folder many thousand levels deep.
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.folder)], check=False)

    # ---- what is worth stealing -------------------------------------------------------------------------------------

    def _private_home(self) -> None:
        (self.folder / "person" / ".ssh").mkdir(parents=True, mode=0o700)
        self.ssh_key = self.folder / "person" / ".ssh" / "id_ed25519"
        self.ssh_key.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{self.secrets['ssh']}\n")
        self.ssh_key.chmod(0o600)

    def _labels(self) -> None:
        """Labels of validation and sealed rows as a run keeps them, the data file, and a catalogue with a row."""
        self.store = FolderArtifacts(self.home / "artifacts")
        numbers = [self.needle, float(self.secrets["labels"])] * 20
        self.store.put_frame(pd.DataFrame({"label": numbers, "source_row": np.arange(40.0)}))
        self.store.put_text(self.secrets["store"])
        catalogue = Catalogue(self.home / "catalogue.db")
        catalogue.open_test(self.secrets["store"], run_id="r", candidate="c", code_hash="h", data_hash="d")
        catalogue.close()
        self.data_file = self.folder / "data.csv"
        self.data_file.write_text(f"x,label\n{self.secrets['csv']},{self.needle!r}\n")

    def _own_descriptor(self) -> None:
        """A file of the orchestrating process that has no name any more."""
        file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 - held open on purpose
        file.write(self.secrets["descriptor"].encode())
        file.flush()
        self.descriptor = file

    def _own_keyring(self) -> None:
        """A key in the session keyring, which children inherit, as a password manager of the desktop keeps it."""
        libc = ctypes.CDLL(None, use_errno=True)
        numbers = {"x86_64": (250, 248), "aarch64": (219, 217)}.get(os.uname().machine)
        self.key_name = f"modelwright-{os.urandom(6).hex()}"
        if numbers is None:
            return
        keyctl, add_key = numbers
        libc.syscall(ctypes.c_long(keyctl), ctypes.c_long(1), None)  # a session keyring of our own
        value = self.secrets["keyring"].encode()
        key = libc.syscall(
            ctypes.c_long(add_key), b"user", self.key_name.encode(), value, ctypes.c_long(len(value)), ctypes.c_long(-3)
        )
        if key > 0:  # readable by whoever possesses it and by its user
            libc.syscall(ctypes.c_long(keyctl), ctypes.c_long(5), ctypes.c_long(key), ctypes.c_long(0x3F3F0000))

    def _in_real_home(self) -> None:
        """A file of ours in the real home of this user, beside what really matters there. None without a home."""
        self.real_home_file: Path | None = None
        with contextlib.suppress(KeyError, OSError):
            import pwd

            path = Path(pwd.getpwuid(os.getuid()).pw_dir) / f".modelwright-hostile-{os.urandom(6).hex()}"
            path.write_text(self.secrets["home"])
            self.real_home_file = path

    # ---- one attack -------------------------------------------------------------------------------------------------

    def fresh(self) -> None:
        """New files, a new token, and a living victim for the next attack."""
        self.token = f"hx{os.urandom(5).hex()}"
        self.place = self.folder / f"precious-{self.token}"
        self.place.mkdir(mode=0o700)
        for name in ("append", "delete", "chmod", "over", "truncate", "move", "stamp", "link", "target"):
            (self.place / name).write_text(self.secrets["outside"])
            (self.place / name).chmod(0o600)
            os.utime(self.place / name, (1_000_000_000, 1_000_000_000))
        (self.place / "folder").mkdir(mode=0o700)
        (self.place / "folder" / "predictions.npy").write_text(self.secrets["outside"])
        self.signals = 0
        self.memory.value = self.secrets["memory"].encode()
        self.listeners.forget()
        self._living_victim()

    def facts(self) -> dict[str, Any]:
        """What the attacker is told: addresses, places and numbers, as if found out before."""
        return {
            **self.listeners.addresses(),
            "token": self.token,
            "ssh_key": str(self.ssh_key),
            "real_home_file": str(self.real_home_file or ""),
            "place": str(self.place),
            "data_file": str(self.data_file),
            "home": str(self.home),
            "folder": str(self.folder),
            "needle": self.needle,
            "since": self.since,
            "key_variable": KEY_VARIABLE,
            "key_name": self.key_name,
            "orchestrator": os.getpid(),
            "descriptor": self.descriptor.fileno(),
            "address": ctypes.addressof(self.memory),
            "victim": self._victim.pid if self._victim else 0,
            "victim_address": self._victim_address,
            "zygote": self.zygote,
            "sibling": self.sibling_pids,
        }

    def _living_victim(self) -> None:
        """Another process of the same user, with a secret in its environment, its arguments and its memory."""
        if self._victim is not None and self._victim.poll() is None and not self._is_marked():
            return
        if self._victim is not None:
            self._victim.kill()
            self._victim.communicate()
        self._victim = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _VICTIM, f"--password={self.secrets['argument']}"],
            env={"PATH": os.defpath, "TOKEN": self.secrets["victim"]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._victim.stdin is not None
        assert self._victim.stdout is not None
        self._victim.stdin.write(self.secrets["memory"] + "\n")
        self._victim.stdin.flush()
        self._victim_address = int(self._victim.stdout.readline())
        self.untouched = self.victim_marks()

    def _is_marked(self) -> bool:
        return self.victim_marks() != self.untouched

    # ---- effects ----------------------------------------------------------------------------------------------------

    def has_heard(self) -> bool:
        """Whether the token has reached any listener; what is on its way is waited for a moment."""
        return self.listeners.heard(self.token)

    def content(self, name: str) -> str:
        """Text of a file that an attack may have changed; empty when it is gone."""
        try:
            return (self.place / name).read_text(errors="replace")
        except OSError:
            return ""

    def victim_is_alive(self) -> bool:
        return self._victim is not None and self._victim.poll() is None

    def victim_marks(self) -> tuple[Any, ...]:
        """What others can set on the victim: priority, scheduling, processors, its limits."""
        import resource

        assert self._victim is not None
        pid = self._victim.pid
        try:
            return (
                os.getpriority(os.PRIO_PROCESS, pid),
                os.sched_getscheduler(pid),
                tuple(sorted(os.sched_getaffinity(pid))),
                resource.prlimit(pid, resource.RLIMIT_CORE),
            )
        except OSError:
            return ()

    def zygote_is_alive(self) -> bool:
        return _is_running(self.zygote)

    def siblings_are_alive(self) -> bool:
        return all(map(_is_running, self.sibling_pids))

    @property
    def forgeries(self) -> list[Path]:
        """What lies beside the folders of jobs, where only the executor writes."""
        return [path for path in self.home.glob("jobs/attack-*/*/*") if path.is_file() and not path.is_symlink()]

    def processes_named_token(self) -> list[int]:
        """Processes whose name is the token, zombies left out, once killing has had its time."""
        time.sleep(0.5)
        for _ in range(40):
            # What is reborn all the time may be missed by a single look.
            if found := self._named_token():
                return found
            time.sleep(0.01)
        return []

    def _named_token(self) -> list[int]:
        found = []
        # The newest first: what is born all the time is a newer one before the older ones are looked at.
        for name in sorted(filter(str.isdigit, os.listdir("/proc")), key=int, reverse=True):
            with contextlib.suppress(OSError):
                facts = Path(f"/proc/{name}/stat").read_text()
                if f"({self.token})" in facts and facts.rpartition(")")[2].split()[0] != "Z":
                    found.append(int(name))
        return found

    def kill_what_is_left(self) -> None:
        """End what an attack of ours has left running, and remove what it left in shared places."""
        for _ in range(50):
            left = self._named_token()
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left:
                break
            time.sleep(0.02)
        for folder in ("/dev/shm", "/tmp", "/var/tmp"):
            for path in Path(folder).glob(f"{self.token}*"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _count_signal(self, *_: object) -> None:
        self.signals += 1


def _is_running(pid: int) -> bool:
    """False for a process that has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
