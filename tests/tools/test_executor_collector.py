"""What the collector takes from a job's folder, and what it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from tools.artifacts import FolderArtifacts
from tools.executors import collector
from tools.executors.collector import BadOutput, collect, read_result, read_text

MOST = 10**6


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "job" / "out"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> FolderArtifacts:
    return FolderArtifacts(tmp_path / "store")


def test_plain_files_are_taken_with_their_folders(out: Path, store: FolderArtifacts) -> None:
    """Every regular file comes back byte for byte under its path below out/; result.json is no output."""
    (out / "model" / "deep").mkdir(parents=True)
    (out / "model" / "deep" / "a.npy").write_bytes(b"abc")
    (out / "b.csv").write_bytes(b"")
    (out / "result.json").write_text("{}")
    taken = collect(out.parent, "script", store, MOST)
    assert list(taken) == ["b.csv", "model/deep/a.npy"]
    with store.get(taken["model/deep/a.npy"]) as file:
        assert file.read() == b"abc"


def test_large_files_are_hashed_while_they_are_copied(
    out: Path, store: FolderArtifacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file too large to hold at once arrives whole, and its temporary copy is gone."""
    monkeypatch.setattr(collector, "_AT_ONCE", 1000)
    (out / "big").write_bytes(os.urandom(5000))
    reference = collect(out.parent, "script", store, MOST)["big"]
    store.check(reference)
    assert store.size(reference) == 5000
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_only_expected_files_of_a_fold_are_taken(out: Path, store: FolderArtifacts) -> None:
    """What a library drops into its working folder during a fold is neither taken nor looked at."""
    np.save(out / "predictions.npy", np.ones(3))
    (out / "a strange name!").symlink_to("/etc/passwd")
    assert list(collect(out.parent, "fold", store, MOST)) == ["predictions.npy"]


@pytest.mark.parametrize("plant", ["link", "hard link", "pipe", "folder link", "name", "depth", "size"])
def test_anything_else_is_refused_by_name(out: Path, store: FolderArtifacts, tmp_path: Path, plant: str) -> None:
    """Links, pipes, strange names, deep folders and too many bytes are refused, each naming the file."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("private")
    name = "planted"
    if plant == "link":
        (out / name).symlink_to(secret / "key")
    elif plant == "hard link":
        os.link(secret / "key", out / name)
    elif plant == "pipe":
        os.mkfifo(out / name)
    elif plant == "folder link":
        (out / name).symlink_to(secret, target_is_directory=True)
    elif plant == "name":
        name = "planted name"
        (out / name).write_text("x")
    elif plant == "depth":
        (out / name / "a/b/c/d/e/f").mkdir(parents=True)
    else:
        (out / name).write_bytes(b"x" * (MOST + 1))
    with pytest.raises(BadOutput, match=name):
        collect(out.parent, "script", store, MOST)


def test_a_missing_prediction_is_said(out: Path, store: FolderArtifacts) -> None:
    """A fold without predictions is refused, and so is one without a readable result."""
    with pytest.raises(BadOutput, match=r"predictions\.npy"):
        collect(out.parent, "fold", store, MOST)
    (out / "result.json").write_text("[1]")
    with pytest.raises(BadOutput, match=r"result\.json"):
        read_result(out.parent)


def test_small_texts_are_read_without_following_links(out: Path, tmp_path: Path) -> None:
    """A traceback that is a link to another file reads as empty."""
    (tmp_path / "secret").write_text("private")
    (out / "traceback.txt").symlink_to(tmp_path / "secret")
    assert read_text(out.parent, "traceback.txt") == ""
    assert read_text(out.parent, "absent.txt") == ""
