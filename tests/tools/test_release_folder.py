"""The release folder: published whole, checked file by file, and what it says about itself."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pytest
import yaml

from state.errors import ArtifactDamaged, ArtifactMissing, NotFound, UsageError, VersionMismatch
from state.jobs import Limits
from tests.release.making import BOOSTER, OWN_SAVING, PIPELINE, Made, make_release, outputs
from tools.artifacts import FolderArtifacts
from tools.release.examples import example_job, example_predictions, input_csv
from tools.release.folder import check_release, publish
from tools.release.layout import file_names


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("made"), "multiclass", {"i0-linear": PIPELINE, "i0-boosting": BOOSTER})


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    """The release once more, to be damaged."""
    return Path(shutil.copytree(made.folder, tmp_path / "release"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_release_holds_what_it_promises(made: Made) -> None:
    """Every file of the layout is there, and the manifest has the hash and size of each."""
    found = contents(made.folder)
    assert set(found) >= {
        "MODEL_CARD.md",
        "examples/input.csv",
        "manifest.json",
        "model_inference/inference.py",
        "model_inference/reading.py",
        "model_inference/saving.py",
        "model_inference/schema.json",
        "model_training/members.json",
        "model_training/programs/i0-boosting.py",
        "model_training/programs/i0-linear.py",
        "model_training/train.py",
        "requirements.txt",
    }
    files = json.loads(found.pop("manifest.json"))["files"]
    assert files == {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in found.items()
    }
    check_release(made.folder)


def test_the_manifest_says_where_the_numbers_come_from(made: Made) -> None:
    """Scores come with interval, rows and the model they belong to; data, code, versions and seed are named."""
    said = json.loads((made.folder / "manifest.json").read_text("utf-8"))
    assert (said["score"]["value"], said["score"]["low"], said["score"]["high"]) == (0.4321, 0.4, 0.46)
    assert said["test"]["before_refit"] is True
    assert "before it was fitted again" in said["test"]["belongs_to"]
    assert said["test"]["opening"]["number"] == 1
    data = {"source": made.facts.source, "rows": 158, "test_rows": 30}
    assert said["data"] == {**data, "path": str(made.data), "table": None, "test_path": None, "test_source": None}
    assert said["refit"] == {"rows": "all", "count": 158}
    assert [column["name"] for column in said["inputs"]] == ["age", "city", "seen on", "height | m"]
    assert [column["name"] for column in said["outputs"]][:2] == ["prediction", "proba_=1+1"]
    assert (said["seed"], said["sandbox"], said["unsafe"]) == (3, "basic (T3)", False)
    assert said["code"]["model_training/train.py"] == said["files"]["model_training/train.py"]["sha256"]
    assert said["task"]["excluded"] == {"id": "looks like an identifier"}


def test_the_card_is_yaml_and_markdown_whatever_names_hold(made: Made) -> None:
    """The head is YAML with the scores; odd names cannot leave their table cell or become HTML."""
    _, head, body = (made.folder / "MODEL_CARD.md").read_text("utf-8").split("---\n", 2)
    facts = yaml.safe_load(head)
    assert (facts["target"], facts["score"], facts["test_interval"]) == ("the target", 0.4321, [0.38, 0.52])
    assert "| height \\| m | numeric |" in body
    assert "<b>" not in body.replace("\\<b\\>", "")
    assert "| id | looks like an identifier |" in body
    assert "The test score belongs to the model before it was fitted again" in body
    assert "python model_inference/inference.py --input new.csv --output predictions.csv" in body


def test_a_card_without_a_test_says_so(made: Made, tmp_path: Path) -> None:
    """Where no test set was opened, the card warns that the score was chosen by."""
    facts = made.facts.but(test=None, opening=None, baselines=[], checks=[], limits=[], refit="train")
    publish(tmp_path / "release", made.files, facts, artifacts=made.artifacts)
    assert "No test set was opened" in (tmp_path / "release" / "MODEL_CARD.md").read_text("utf-8")
    assert json.loads((tmp_path / "release" / "manifest.json").read_text("utf-8"))["test"] is None


def test_publishing_again_gives_the_same_files(made: Made, tmp_path: Path) -> None:
    """A repeated publication replaces the folder by the same bytes and leaves nothing beside it."""
    report = tmp_path / "report.html"
    report.write_text("<!doctype html><title>report</title>", "utf-8")
    for _ in range(2):
        manifest = publish(
            *(tmp_path / "out" / "release", made.files, made.facts),
            artifacts=made.artifacts,
            examples=made.features.head(2),
            example_predictions=pd.DataFrame({"prediction": ["a,b"]}),
            report=report,
        )
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["release"]
        check_release(tmp_path / "out" / "release")
    assert (tmp_path / "out" / "release" / "examples" / "predictions.csv").read_text("utf-8") == 'prediction\n"a,b"\n'
    assert manifest["files"]["report.html"]["sha256"] == hashlib.sha256(report.read_bytes()).hexdigest()
    shared = set(contents(made.folder)) - {"manifest.json", "examples/input.csv", "examples/predictions.csv"}
    again = contents(tmp_path / "out" / "release")
    assert {name: contents(made.folder)[name] for name in shared} == {name: again[name] for name in shared}


def test_files_of_a_person_are_never_replaced(made: Made, tmp_path: Path) -> None:
    """A folder that holds something else than a release, or a file of that name, is refused and left alone."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", "utf-8")
    for place in (tmp_path / "mine", tmp_path / "mine" / "thesis.txt"):
        with pytest.raises(UsageError, match="release"):
            publish(place, made.files, made.facts, artifacts=made.artifacts)
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years of work"}
    (tmp_path / "empty").mkdir()
    publish(tmp_path / "empty", made.files, made.facts, artifacts=made.artifacts)
    check_release(tmp_path / "empty")


class Failing(FolderArtifacts):
    """A store whose disk fails at the nth file."""

    def __init__(self, root: Path, good: int) -> None:
        super().__init__(root)
        self.good = good

    def get(self, ref: str) -> BinaryIO:
        self.good -= 1
        if self.good < 0:
            raise ArtifactMissing("gone")
        return super().get(ref)


@pytest.mark.parametrize("good", [0, 3, 8])
def test_a_failed_publication_leaves_the_earlier_release_whole(made: Made, copy: Path, good: int) -> None:
    """When writing fails half-way, what was there stays, and no half folder is seen."""
    before = contents(copy)
    with pytest.raises(ArtifactMissing):
        publish(copy, made.files, made.facts, artifacts=Failing(made.artifacts.root, good))
    assert contents(copy) == before
    assert [path.name for path in copy.parent.iterdir()] == ["release"]


def test_a_publication_after_a_kill_clears_what_was_left(made: Made, copy: Path) -> None:
    """Killed while writing or between the two renames: the next publication ends with one whole release."""
    copy.rename(copy.parent / ".release.old-1")
    (copy.parent / ".release.new-1" / "model_training").mkdir(parents=True)
    publish(copy, made.files, made.facts, artifacts=made.artifacts)
    assert [path.name for path in copy.parent.iterdir()] == ["release"]
    check_release(copy)


def test_a_damaged_artifact_is_never_published(made: Made, tmp_path: Path) -> None:
    """Content that does not match its reference stops the publication."""
    root = Path(shutil.copytree(made.artifacts.root, tmp_path / "artifacts"))
    reference = made.files["model_inference/saving.py"].removeprefix("sha256:")
    path = next(root.rglob(reference))
    path.chmod(0o600)
    path.write_bytes(b"something else")
    with pytest.raises(ArtifactDamaged, match=reference):
        publish(tmp_path / "release", made.files, made.facts, artifacts=FolderArtifacts(root))
    assert not (tmp_path / "release").exists()


def test_every_difference_is_listed(copy: Path) -> None:
    """Changed, missing, added and linked files are all named at once; compiled Python is no difference."""
    (copy / "model_inference" / "__pycache__").mkdir()
    (copy / "model_inference" / "__pycache__" / "inference.cpython-311.pyc").write_bytes(b"")
    check_release(copy)
    (copy / "requirements.txt").write_text("numpy\n", "utf-8")
    (copy / "MODEL_CARD.md").unlink()
    (copy / "model_training" / "extra.py").write_text("", "utf-8")
    target = copy / "model_inference" / "saving.py"
    target.rename(copy.parent / "saving.py")
    target.symlink_to(copy.parent / "saving.py")
    with pytest.raises(ArtifactDamaged) as caught:
        check_release(copy)
    for line in (
        "requirements.txt: changed",
        "MODEL_CARD.md: missing",
        "model_training/extra.py: not part of the release",
        "model_inference/saving.py: not a regular file",
    ):
        assert line in str(caught.value)


def test_what_is_no_release_is_said_to_be_none(copy: Path, tmp_path: Path) -> None:
    """A missing folder, a broken manifest, and a manifest of another format are told apart."""
    with pytest.raises(NotFound, match="holds no release"):
        check_release(tmp_path / "nowhere")
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    (copy / "manifest.json").write_text(json.dumps({**manifest, "format_version": 99}), "utf-8")
    with pytest.raises(VersionMismatch, match=r"99.*reads 2"):
        check_release(copy)
    (copy / "manifest.json").write_text("{", "utf-8")
    with pytest.raises(ArtifactDamaged, match="no manifest"):
        check_release(copy)


def test_no_file_leaves_the_folder(made: Made, tmp_path: Path) -> None:
    """A path that climbs out of the release is refused, and ids of candidates become plain file names."""
    for path in ("../outside", "/outside", "model/../../outside"):
        with pytest.raises(UsageError, match="outside"):
            publish(tmp_path / "r", {path: made.files["requirements.txt"]}, made.facts, artifacts=made.artifacts)
    member = made.facts.members[0]
    names = file_names([member, member.but(candidate="../a b"), member.but(candidate="..")])
    assert names[0] == "i0-linear"
    assert names[1].startswith("a-b-")
    assert names[2].startswith("member-")
    assert not any("/" in name or ".." in name for name in names)


def test_ids_of_a_person_make_a_working_release(tmp_path: Path) -> None:
    """Candidates called by odd names are released, predicted and listed by those names."""
    made = make_release(tmp_path, "regression", {"my plan/é": OWN_SAVING})
    check_release(made.folder)
    records = json.loads((made.folder / "model_training" / "members.json").read_text("utf-8"))
    assert records[0]["candidate"] == "my plan/é"


@pytest.fixture(params=[("binary", PIPELINE), ("regression", BOOSTER)], ids=["binary", "regression"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return make_release(tmp_path, request.param[0], {"one": request.param[1]})


def test_examples_are_read_back_as_they_were(small: Made, tmp_path: Path) -> None:
    """examples/input.csv, in the dialect of the training data, gives the example rows; a job predicts them."""
    from tools.executors.process import ProcessExecutor
    from tools.portable.reading import read_table

    rows = small.features.head(10)
    spec = {**small.read_spec, "columns": {name: small.read_spec["columns"][name] for name in rows.columns}}
    (tmp_path / "input.csv").write_bytes(input_csv(rows, small.read_spec))
    pd.testing.assert_frame_equal(read_table(tmp_path / "input.csv", spec), rows)

    limits = Limits(seconds=60, memory_mb=2048)
    job = example_job(small.files, rows, small.read_spec, artifacts=small.artifacts, limits=limits)
    executor = ProcessExecutor(small.artifacts, tmp_path / "jobs", slots=1, threads_per_job=1)
    try:
        receipt = asyncio.run(executor.submit(job, job.key({})))
    finally:
        executor.close()
    table = example_predictions(receipt, artifacts=small.artifacts)
    np.testing.assert_allclose(outputs(table, small.task), small.expected[:10], rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ({"type": "number", "format": None}, [1e300, -0.1, 123456789.0, 1 / 3, np.nan]),
        ({"type": "datetime", "format": None}, pd.to_datetime(["2020-01-02 03:04:05.678", None])),
        ({"type": "datetime", "format": "%Y Q%q"}, pd.to_datetime(["2020-04-01", "1956-10-01"])),
        ({"type": "datetime", "format": "%G W%V"}, pd.to_datetime(["2020-01-06", "1978-01-02"])),
        ({"type": "datetime", "format": "%Y %b"}, pd.to_datetime(["2020-02-01", None])),
        ({"type": "text", "format": None}, ['a "b"', "x;y", "line\nbreak", np.nan, "007"]),
    ],
    ids=["number", "iso", "quarter", "week", "month", "text"],
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_every_type_of_column_survives_the_example_file(
    tmp_path: Path, column: dict[str, str], values: list[object], decimal: str
) -> None:
    """Values written to the example file are read back unchanged, in every format a column may have."""
    from tools.portable.reading import read_table

    spec = {
        "format": "csv",
        "delimiter": ";",
        "decimal": decimal,
        "missing": [""],
        "columns": {"v": column, "w": column},
    }
    kind = {"number": "float64", "datetime": "datetime64[ns]", "text": "object"}[column["type"]]
    rows = pd.DataFrame({name: pd.Series(values, dtype=kind) for name in ("v", "w")})
    (tmp_path / "input.csv").write_bytes(input_csv(rows, spec))
    pd.testing.assert_frame_equal(read_table(tmp_path / "input.csv", spec), rows)


def test_the_release_folder_is_readable_and_its_files_are_copies(made: Made) -> None:
    """Files of a release can be read by others and share nothing with the artifact store."""
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert os.stat(path).st_nlink == 1
            assert path.stat().st_mode & 0o400
