"""The folder of artifacts: what any store must do, and what holds for files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from state.errors import ArtifactDamaged, StoreError
from tests.conformance.artifacts import ArtifactStoreConformance
from tools.artifacts import FolderArtifacts, open_artifacts, refs_in

ROOT = Path(__file__).parents[2]


class TestFolderArtifacts(ArtifactStoreConformance):
    """The conformance suite on the folder backend."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderArtifacts:
        return FolderArtifacts(tmp_path / "artifacts")


@pytest.fixture
def store(tmp_path: Path) -> FolderArtifacts:
    return FolderArtifacts(tmp_path / "artifacts")


def _file(store: FolderArtifacts, ref: str) -> Path:
    return next(path for path in store.root.glob("sha256/*/*") if path.name == ref.removeprefix("sha256:"))


def test_the_store_lies_under_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MODELWRIGHT_HOME decides where artifacts lie; every folder there is private, every artifact read-only."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(tmp_path / "deep" / "home"))
    store = open_artifacts()
    ref = store.put(b"x")
    assert store.root == tmp_path / "deep" / "home" / "artifacts"
    folders = [path for path in (tmp_path / "deep").rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    assert _file(store, ref).stat().st_mode & 0o777 == 0o400


def test_one_changed_byte_is_found_and_named(store: FolderArtifacts) -> None:
    """A flipped byte of the same length is found by every way that hands out content, and the artifact is named."""
    ref = store.put_text("the quick brown fox")
    store.check(ref)
    path = _file(store, ref)
    path.chmod(0o600)
    path.write_bytes(b"the quick brown f0x")
    for ask in (store.check, store.get_text, store.get_frame):
        with pytest.raises(ArtifactDamaged, match=ref):
            ask(ref)
    with pytest.raises(ArtifactDamaged, match=ref):
        store.export(ref, store.root.parent / "copy")
    assert not (store.root.parent / "copy").exists()


@pytest.mark.parametrize("wreck", [b"", b"the quick", b"the quick brown f0x"])
def test_putting_the_content_again_heals_it(store: FolderArtifacts, wreck: bytes) -> None:
    """An emptied, cut or changed artifact is replaced when its content is put once more."""
    ref = store.put_text("the quick brown fox")
    path = _file(store, ref)
    path.chmod(0o600)
    path.write_bytes(wreck)
    assert store.put_text("the quick brown fox") == ref
    assert store.get_text(ref) == "the quick brown fox"


def test_kill_before_the_rename_leaves_no_half_artifact(tmp_path: Path) -> None:
    """A writer killed by -9 just before the rename leaves nothing but a temporary file, which a sweep removes."""
    script = "import sys; from pathlib import Path; from tools.artifacts import FolderArtifacts as F\n"
    script += "store = F(Path(sys.argv[1])); store.put(b'one'); print('one', flush=True); store.put(b'two' * 99999)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MODELWRIGHT_CRASH": "mid-rename:2"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout == "one\n"
    store = FolderArtifacts(tmp_path)
    assert [store.get_text(ref) for ref in store.refs()] == ["one"]
    assert len(list(tmp_path.glob("tmp/*"))) == 1
    assert store.sweep() == 0, "it is young: its writer might live"
    assert store.sweep(older_than=-1) == 1
    assert store.get_text(store.put(b"two" * 99999)).startswith("twotwo")


def test_random_kills_never_tear_an_artifact(tmp_path: Path) -> None:
    """Whenever a writer dies, every artifact that has its name has its whole content."""
    script = "import os, sys; from pathlib import Path; from tools.artifacts import FolderArtifacts as F\n"
    script += "store = F(Path(sys.argv[1])); print('ready', flush=True)\nwhile True: store.put(os.urandom(400_000))"
    for delay in (0.0, 0.004, 0.009, 0.017, 0.031):
        writer = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay)
        writer.kill()
        writer.wait()
        writer.stdout.close()
    store = FolderArtifacts(tmp_path)
    for ref in store.refs():
        store.check(ref)


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """When the content does not fit, the message says so, and neither an artifact nor a temporary file is left."""
    script = (
        "import resource, sys; from pathlib import Path; from tools.artifacts import FolderArtifacts\n"
        "from state.errors import StoreError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); store = FolderArtifacts(Path(sys.argv[1]))\n"
        "store.put(b'fits')\ntry: store.put(b'x' * 1_000_000)\nexcept StoreError as error: print(error)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert f"{str(tmp_path)!r} cannot be written: File too large" in done.stdout
    assert "nothing that was finished is lost" in done.stdout
    store = FolderArtifacts(tmp_path)
    assert [store.get_text(ref) for ref in store.refs()] == ["fits"]
    assert list(tmp_path.glob("tmp/*")) == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    """When the folder cannot be made, the message names it and what to set."""
    (tmp_path / "artifacts").write_text("not a folder")
    with pytest.raises(StoreError, match=r"a file stands in its way(.|\n)*MODELWRIGHT_HOME"):
        FolderArtifacts(tmp_path / "artifacts").put(b"x")


def test_references_inside_plain_data_are_found() -> None:
    """References are found at any depth, and nothing that only resembles one."""
    one, two = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert list(refs_in({"a": [one, {"b": two}], "c": "sha256:short", "d": f"see {one}", "e": 3})) == [one, two]


def test_a_folder_that_a_dead_writer_left_is_swept(store: FolderArtifacts) -> None:
    """One in which nothing was touched for long goes with what it holds; one that is being written in stays."""
    store.put(b"x")
    dead, alive = store.root / "tmp" / "dead", store.root / "tmp" / "alive"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "frame.arrow").write_bytes(b"half")
    for path in (dead / "frame.arrow", dead, alive):
        os.utime(path, (1, 1))
    assert store.sweep() == 1
    assert (dead.exists(), alive.exists()) == (False, True)
