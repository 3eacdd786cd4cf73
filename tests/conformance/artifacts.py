"""What every artifact store must do. A test class inherits this and gives the fixture `store`, an empty store."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from state.errors import ArtifactMissing, StoreError
from tools.artifacts import ArtifactStore

ABSENT = "sha256:" + "0" * 64


class ArtifactStoreConformance:
    """Inherit as a test class."""

    def test_the_reference_is_the_hash_of_the_content(self, store: ArtifactStore) -> None:
        """Equal content has one reference, and the reference says what the content is."""
        ref = store.put(b"content")
        assert ref == "sha256:" + hashlib.sha256(b"content").hexdigest()
        assert store.put(b"content") == ref
        assert store.put(b"other") != ref
        assert sorted(store.refs()) == sorted({ref, store.put(b"other")})

    def test_bytes_come_back_as_they_went_in(self, store: ArtifactStore) -> None:
        """Empty content, zero bytes and more than one chunk survive."""
        for content in (b"", b"\x00\xff" * 7, b"x" * (3 << 20)):
            ref = store.put(content)
            with store.get(ref) as stream:
                assert stream.read() == content
            assert store.size(ref) == len(content)
            store.check(ref)

    def test_a_file_is_copied_and_may_change_afterwards(self, store: ArtifactStore, tmp_path: Path) -> None:
        """What was put from a file stays when the file goes on living."""
        source = tmp_path / "model.bin"
        source.write_bytes(b"first")
        ref = store.put(source)
        source.write_bytes(b"second")
        with store.get(ref) as stream:
            assert stream.read() == b"first"

    def test_what_is_not_there_is_missing(self, store: ArtifactStore) -> None:
        """An unknown reference is no artifact for any of the ways to ask, and the message names it."""
        assert not store.has(ABSENT)
        for ask in (store.get, store.size, store.check, store.get_text, store.get_json, store.get_frame):
            with pytest.raises(ArtifactMissing, match=ABSENT):
                ask(ABSENT)

    def test_deleting_twice_is_harmless(self, store: ArtifactStore) -> None:
        """After a deletion the content is gone, can be put again, and a second deletion does nothing."""
        ref = store.put(b"short life")
        store.delete(ref)
        store.delete(ref)
        assert not store.has(ref)
        assert store.put(b"short life") == ref
        assert store.has(ref)

    @pytest.mark.parametrize("ref", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "0" * 64, "sha256:" + "A" * 64])
    def test_anything_else_is_no_reference(self, store: ArtifactStore, ref: str) -> None:
        """A crafted reference is refused before it becomes a path or a query."""
        with pytest.raises(StoreError, match="not an artifact reference"):
            store.get(ref)

    def test_an_export_is_a_read_only_copy(self, store: ArtifactStore, tmp_path: Path) -> None:
        """Changing an exported file, even by force, leaves the store alone; exporting again replaces it."""
        ref = store.put(b"for a job")
        target = tmp_path / "in" / "model" / "weights.bin"
        store.export(ref, target)
        assert target.read_bytes() == b"for a job"
        assert target.stat().st_mode & 0o222 == 0
        target.chmod(0o600)
        target.write_bytes(b"tampered")
        store.check(ref)
        store.export(ref, target)
        assert target.read_bytes() == b"for a job"

    def test_text_and_plain_data_come_back_equal(self, store: ArtifactStore) -> None:
        """Any text survives; equal data has an equal reference whatever the order of its keys."""
        for text in ("", "naïve – 数\n", "broken \udcff byte"):
            assert store.get_text(store.put_text(text)) == text
        value = {"b": [1, 2.5, None, True], "a": {"ö": "x"}}
        assert store.get_json(store.put_json(value)) == value
        assert store.put_json({"a": 1, "b": 2}) == store.put_json({"b": 2, "a": 1})

    def test_arrays_come_back_equal(self, store: ArtifactStore) -> None:
        """Numbers keep type, shape and every bit; objects are refused, since they would need pickle."""
        array = np.array([[0.1, np.nan], [np.inf, -0.0]])
        np.testing.assert_array_equal(store.get_array(store.put_array(array)), array)
        with pytest.raises(ValueError, match="allow_pickle"):
            store.put_array(np.array([{}], dtype="object"))

    def test_frames_come_back_in_canonical_types(self, store: ArtifactStore) -> None:
        """Numbers, dates and text with gaps survive; a choice of columns is honoured in its order."""
        frame = pd.DataFrame(
            {
                "number": [1.5, np.nan, -3.0],
                "date": pd.to_datetime(["2020-01-01 00:00", None, "2021-06-30 12:00"]).astype("datetime64[ns]"),
                "text": pd.Series(["a", np.nan, "ü"], dtype="object"),
            }
        )
        ref = store.put_frame(frame)
        pd.testing.assert_frame_equal(store.get_frame(ref), frame)
        pd.testing.assert_frame_equal(store.get_frame(ref, ["text", "number"]), frame[["text", "number"]])

    def test_many_writers_of_the_same_content_agree(self, store: ArtifactStore) -> None:
        """Threads that put the same and different content at once all succeed, and nothing is torn."""
        contents = [bytes([index % 3]) * 200_000 for index in range(12)]
        refs: dict[int, str] = {}
        threads = [
            threading.Thread(target=lambda index=index: refs.update({index: store.put(contents[index])}))
            for index in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(refs.values())) == 3
        for ref in set(refs.values()):
            store.check(ref)
