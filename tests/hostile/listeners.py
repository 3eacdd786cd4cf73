"""Who listens outside the sandbox: TCP and UDP on loopback, unix sockets with a path and with an abstract name."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from pathlib import Path
from typing import Any


class Listeners:
    """Collects every byte that reaches any of them. One thread; also talks over loopback, for those who sniff."""

    def __init__(self, folder: Path, mark: str, chatter: str) -> None:
        self._chatter = chatter.encode()
        self._bytes = b""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._selector = selectors.DefaultSelector()
        self._sockets: dict[str, socket.socket] = {}
        self._path, self._mark = folder, mark
        self._back = 0

    def start(self) -> None:
        """Open everything and listen in a thread."""
        self._open("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self._open("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        with contextlib.suppress(OSError):  # a machine without IPv6
            self._open("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
        self._open("unix", socket.AF_UNIX, socket.SOCK_STREAM, str(self._path / "agent.sock"))
        self._open("unix_datagram", socket.AF_UNIX, socket.SOCK_DGRAM, str(self._path / "log.sock"))
        self._open("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0modelwright-{self._mark}")
        self._open("abstract_datagram", socket.AF_UNIX, socket.SOCK_DGRAM, f"\0modelwright-log-{self._mark}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._back = probe.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._call_back, daemon=True).start()

    def close(self) -> None:
        self._closing.set()

    def addresses(self) -> dict[str, Any]:
        """Ports and names; `back` is a port at which somebody outside keeps calling."""
        made: dict[str, Any] = {"back": self._back}
        for name, one in self._sockets.items():
            address = one.getsockname()
            if isinstance(address, bytes):
                address = address.decode()
            made[name] = address[1] if isinstance(address, tuple) else address
        return made

    def forget(self) -> None:
        with self._lock:
            self._bytes = b""

    def heard(self, token: str) -> bool:
        """Whether a token has come in; waits a moment for what is on its way."""
        until = time.monotonic() + 0.15
        while time.monotonic() < until:
            with self._lock:
                if token.encode() in self._bytes:
                    return True
            time.sleep(0.01)
        return False

    def _open(self, name: str, family: int, kind: int, address: Any) -> None:
        one = socket.socket(family, kind)
        one.bind(address)
        if kind == socket.SOCK_STREAM:
            one.listen()
        one.setblocking(False)
        self._sockets[name] = one
        self._selector.register(one, selectors.EVENT_READ, kind)

    def _listen(self) -> None:
        while not self._closing.is_set():
            for key, _ in self._selector.select(0.1):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                with contextlib.suppress(OSError):
                    if key.data == socket.SOCK_DGRAM:
                        self._take(one.recv(65536))
                    else:
                        self._answer(one.accept()[0])
        for one in self._sockets.values():
            one.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.3)
            with contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    self._take(data)

    def _call_back(self) -> None:
        """Call the port `back` again and again, and send a secret over loopback."""
        port = self._sockets["udp"].getsockname()[1]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            while not self._closing.wait(0.05):
                wire.sendto(self._chatter, ("127.0.0.1", port))
                with socket.socket() as caller, contextlib.suppress(OSError):
                    caller.settimeout(0.2)
                    caller.connect(("127.0.0.1", self._back))
                    self._take(caller.recv(65536))

    def _take(self, data: bytes) -> None:
        if data != self._chatter:
            with self._lock:
                self._bytes += data[:65536]
