"""Artifacts of tier T3: what any store must do, and that nothing of them lies in clear."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.errors import ArtifactDamaged, StoreError
from tests.conformance.artifacts import ArtifactStoreConformance
from tools.artifacts import FolderArtifacts
from tools.veiled import KEY_VARIABLE, VeiledArtifacts, key_path


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key file of the test's own."""
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "keys" / "veil.key"))
    return tmp_path / "keys" / "veil.key"


@pytest.fixture
def store(tmp_path: Path) -> VeiledArtifacts:
    return VeiledArtifacts(tmp_path / "artifacts", veil=True)


class TestVeiledArtifacts(ArtifactStoreConformance):
    """The conformance suite on a folder that is veiled."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> VeiledArtifacts:
        return VeiledArtifacts(tmp_path / "artifacts", veil=True)


def _bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_nothing_of_the_content_lies_in_the_folder(store: VeiledArtifacts, tmp_path: Path) -> None:
    """Texts, arrays, frames and files: who looks through the folder finds no label; names and values stay the same."""
    clear = FolderArtifacts(tmp_path / "clear")
    labels = np.arange(4000, dtype=np.int64) * 7919
    frame = pd.DataFrame({"name": [f"patient-{number}" for number in range(500)], "ill": [0, 1] * 250})
    for one in (store, clear):
        one.put_text("the label is patient-77")
        one.put_array(labels)
        one.put_frame(frame)
    found, open_text = _bytes_below(store.root), _bytes_below(clear.root)
    for secret in (b"patient-77", labels.tobytes()[:64]):
        assert secret in open_text
        assert secret not in found
    assert sorted(store.refs()) == sorted(clear.refs())
    pd.testing.assert_frame_equal(store.get_frame(store.put_frame(frame)), frame, check_dtype=False)
    assert np.array_equal(store.get_array(store.put_array(labels)), labels)
    assert not list(store.root.glob("tmp/*"))


def test_both_kinds_lie_side_by_side(tmp_path: Path) -> None:
    """What was put in clear can be read, and is veiled when it is put again; a store that does not veil reads both."""
    plain = VeiledArtifacts(tmp_path / "artifacts")
    ref = plain.put(b"first in clear" * 1000)
    veiled = VeiledArtifacts(tmp_path / "artifacts", veil=True)
    assert veiled.get(ref).read() == b"first in clear" * 1000
    assert veiled.put(b"first in clear" * 1000) == ref
    assert b"in clear" not in _bytes_below(tmp_path / "artifacts")
    assert plain.get(ref).read() == b"first in clear" * 1000
    assert plain.size(ref) == len(b"first in clear" * 1000)
    plain.export(ref, tmp_path / "out" / "copy")
    assert (tmp_path / "out" / "copy").read_bytes() == b"first in clear" * 1000
    assert plain.put(b"first in clear" * 1000) == ref
    assert b"in clear" not in _bytes_below(tmp_path / "artifacts"), "a veiled one is not opened again"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_sizes_at_the_borders_of_chunks(store: VeiledArtifacts, size: int) -> None:
    """Content of any length comes back, and its size is told without opening it."""
    ref = store.put(b"x" * size)
    assert store.size(ref) == size
    assert store.get(ref).read() == b"x" * size


@pytest.mark.parametrize("damage", ["flipped", "cut at a chunk", "another key"])
def test_damage_is_named(store: VeiledArtifacts, key: Path, damage: str) -> None:
    """A flipped byte, a missing last chunk and a wrong key are seen, and the message names artifact and key file."""
    ref = store.put(b"content" * 400_000)
    path = next(store.root.glob("sha256/*/*"))
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    if damage == "flipped":
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data)
    elif damage == "cut at a chunk":
        path.write_bytes(path.read_bytes()[: 16 + 2 * ((1 << 20) + 16)])
    else:
        key.write_bytes(bytes(32))
    with pytest.raises(ArtifactDamaged, match=ref) as told:
        store.check(ref)
    assert str(key) in str(told.value)


def test_the_key_is_private_and_kept(store: VeiledArtifacts, key: Path) -> None:
    """One file of mode 0600, made once; a broken one is refused by name, not replaced."""
    store.put(b"content")
    assert key_path() == key
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    store.put(b"more")
    assert key.read_bytes() == before
    key.write_bytes(b"short")
    with pytest.raises(StoreError, match="holds 5 bytes"):
        store.put(b"content again")


def test_a_key_is_whole_before_it_has_its_name(
    store: VeiledArtifacts, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies while it makes the key leaves none that is cut short; of two that make one the first counts."""
    link = os.link

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", die)
    with pytest.raises(KeyboardInterrupt):
        store.put(b"content")
    assert list(key.parent.iterdir()) == []

    def come_second(new: Path, path: Path) -> None:
        path.write_bytes(bytes(32))
        link(new, path)

    monkeypatch.setattr(os, "link", come_second)
    store.put(b"content")
    assert key.read_bytes() == bytes(32)
    assert list(key.parent.iterdir()) == [key]
