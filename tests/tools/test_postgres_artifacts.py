"""Artifacts in a shared database: what any store must do, what machines share, and what damage there looks like."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from state.errors import ArtifactDamaged, ArtifactMissing, StoreError
from tests.conformance.artifacts import ArtifactStoreConformance
from tests.support.postgres import Server
from tools.artifacts import FolderArtifacts, open_artifacts
from tools.home import STORE_VARIABLE
from tools.postgres.artifacts import CHUNK, PostgresArtifacts


class TestPostgresArtifacts(ArtifactStoreConformance):
    """The conformance suite on the shared database."""

    @pytest.fixture
    def store(self, database_url: str, tmp_path: Path) -> PostgresArtifacts:
        return PostgresArtifacts(database_url, FolderArtifacts(tmp_path / "cache"))


@pytest.fixture
def machines(database_url: str, tmp_path: Path) -> list[PostgresArtifacts]:
    """Two machines that share nothing but the database."""
    return [PostgresArtifacts(database_url, FolderArtifacts(tmp_path / name)) for name in ("one", "other")]


def test_what_one_machine_stores_another_reads(machines: list[PostgresArtifacts]) -> None:
    """Content of many chunks arrives whole, and is read from the local folder the next time."""
    one, other = machines
    content = bytes(range(256)) * (5 * CHUNK // 512)
    ref = one.put(content)
    with other.get(ref) as stream:
        assert stream.read() == content
    assert list(other.cache.refs()) == [ref]
    assert other.size(ref) == len(content)
    one.delete(ref)
    assert not other.has(ref)
    with pytest.raises(ArtifactMissing, match=ref):
        other.check(ref)


def test_the_setting_decides_where_artifacts_lie(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MODELWRIGHT_STORE puts them into the database; an emptied home loses nothing."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(STORE_VARIABLE, database_url)
    ref = open_artifacts().put_text("kept")
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "elsewhere"))
    assert open_artifacts().get_text(ref) == "kept"


def test_looking_makes_no_schema(database_url: str, tmp_path: Path, postgres: Server) -> None:
    """An empty database stays empty while nothing is put."""
    store = PostgresArtifacts(database_url, FolderArtifacts(tmp_path))
    assert list(store.refs()) == []
    assert not store.has("sha256:" + "0" * 64)
    store.delete("sha256:" + "0" * 64)
    assert postgres.run("SELECT 1 FROM pg_namespace WHERE nspname = 'modelwright'", database_url) == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE modelwright.artifact_chunks SET content = set_byte(content, 7, get_byte(content, 7) # 1) WHERE number = 1",
        "UPDATE modelwright.artifact_chunks SET content = substr(content, 1, 100) WHERE number = 0",
        "DELETE FROM modelwright.artifact_chunks WHERE number = 1",
        "DELETE FROM modelwright.artifact_chunks",
        "UPDATE modelwright.artifacts SET size = size - 1",
    ],
)
def test_damage_in_the_database_is_named_and_healed(
    machines: list[PostgresArtifacts], database_url: str, postgres: Server, damage: str
) -> None:
    """A flipped bit, a cut or lost chunk or a wrong size is found by a check and by whoever fetches it, who keeps
    nothing of it; putting the content again heals it."""
    one, other = machines
    content = b"a model " * (CHUNK // 5)
    ref = one.put(content)
    postgres.run(damage, database_url)
    with pytest.raises(ArtifactDamaged, match=ref):
        one.check(ref)
    if "size" not in damage:
        with pytest.raises(ArtifactDamaged, match=ref):
            other.get(ref)
        assert list(other.cache.refs()) == []
    assert one.put(content) == ref
    one.check(ref)
    with other.get(ref) as stream:
        assert stream.read() == content


def test_a_hurt_cached_file_is_fetched_again(machines: list[PostgresArtifacts]) -> None:
    """What happens to this machine's folder does not matter: the database has it."""
    one, other = machines
    ref = one.put(b"content")
    other.get(ref).close()
    path = next(other.cache.root.glob("sha256/*/*"))
    path.chmod(0o600)
    path.write_bytes(b"c0ntent")
    with other.get(ref) as stream:
        assert stream.read() == b"content"


def test_equal_content_put_at_once_is_stored_once(
    machines: list[PostgresArtifacts], database_url: str, postgres: Server
) -> None:
    """Two machines that put the same content at the same moment both succeed, and it lies there once."""
    content = b"x" * (3 * CHUNK)
    refs: list[str] = []
    threads = [threading.Thread(target=lambda one=one: refs.append(one.put(content))) for one in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refs) == 2
    assert len(set(refs)) == 1
    assert postgres.run("SELECT count(*) FROM modelwright.artifact_chunks", database_url) == [(3,)]


def test_a_lost_connection_in_the_middle_leaves_no_half_artifact(
    machines: list[PostgresArtifacts], database_url: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's session is ended while content is being sent: nothing of it is there, and a second put succeeds."""
    one, _ = machines
    one.put(b"before")
    monkeypatch.setattr("tools.postgres.artifacts.CHUNK", 1000)
    monkeypatch.setattr("tools.postgres.artifacts._BATCH", 1)
    import tools.postgres.artifacts as module

    batches = module._batches

    def cut(ref: str, stream: object) -> object:
        for number, rows in enumerate(batches(ref, stream)):  # type: ignore[arg-type]
            if number == 3:
                postgres.disconnect(database_url)
            yield rows

    monkeypatch.setattr(module, "_batches", cut)
    with pytest.raises(StoreError, match="cannot be used"):
        one.put(b"y" * 10_000)
    assert postgres.run("SELECT count(*) FROM modelwright.artifacts", database_url) == [(1,)]
    monkeypatch.setattr(module, "_batches", batches)
    ref = one.put(b"y" * 10_000)
    one.check(ref)


def test_what_another_thread_fetched_meanwhile_is_left_alone(machines: list[PostgresArtifacts]) -> None:
    """Two jobs need the same file at once: the one that comes second does not take away what the first is copying."""
    one, other = machines
    ref = one.put_text("needed twice")
    path = other.cache._path(ref)
    late = threading.Thread(target=lambda: other.get(ref).close())
    looked = threading.Event()
    check = other.cache.check

    def looks(reference: str) -> None:
        try:
            check(reference)
        finally:
            looked.set()

    other.cache.check = looks  # type: ignore[method-assign]  # only to know when it has looked
    with other._session.lock:
        late.start()
        assert looked.wait(600)
        first = other.get(ref)
    late.join()
    with first:  # open, so that its number is not given to another file
        assert os.path.samestat(os.fstat(first.fileno()), path.stat())
