"""Writes model_training/train.py: the program that fits every member again, on the same data or on newer data."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from state.release import ReleaseMember
from state.task import Task
from tools.labels import labels_in
from tools.release.sources import template, with_docstring


def training_program(task: Task, members: Sequence[ReleaseMember]) -> str:
    """Source of the training program of a release.

    It reads members.json and programs/ beside it (and rows.npy, when there is one), and the schema and modules in
    ../model_inference. It writes models and a members.json to the folder of `--output`.
    """
    replayed = list(dict.fromkeys(member.candidate for member in members if member.effective))
    paragraphs = [
        f"Trains the model of {task.target!r} again, on the data of the release or on newer data.",
        "    python model_training/train.py --data train.csv --output training_artifacts",
        f"Fits {', '.join(dict.fromkeys(member.candidate for member in members))} (programs/), saves the models and a members.json. "
        + f"The parameters of {', '.join(replayed)} are those the released fit arrived at. " * bool(replayed)
        + "Given the data of the release, it uses the same rows in the same order. "
        "The released models stay as they are; inference.py takes the new ones with --models training_artifacts.",
    ]
    text = "\n\n".join(part if part.startswith("    ") else textwrap.fill(part, 110) for part in paragraphs)
    return with_docstring(template("train.py"), text)


def labels_hash(labels: Any, task: Task) -> str:
    """SHA-256 over the labels of all labelled rows, in the order of the file: what train.py knows its data by.

    labels: array-like of canonical labels. Class labels out of a float column count as the integers they are.
    """
    values = np.asarray(labels).tolist()
    if task.targets:
        values = [list(map(float, row)) for row in values]
    elif not task.is_classification:
        values = [float(value) for value in values]
    elif all(isinstance(label, int) for label in task.classes):
        values = [int(value) for value in values]
    return hashlib.sha256("\n".join(map(str, values)).encode("utf-8")).hexdigest()


def fitting_order(
    known: pd.DataFrame, hidden: pd.DataFrame, *, refit: Literal["all", "train"], test_given: bool
) -> tuple[np.ndarray, np.ndarray]:
    """What train.py needs to repeat a release's fit: (order, labels) as `runtime_files` takes them.

    known, hidden: the frames of `Prepared.labels` and `Prepared.sealed_labels` (`label`, `source_row`). The fit saw the
    known rows in their order and, with refit `all`, the hidden ones after them. With a test file of the person's
    own, train.py is to be given both files, the test file second.
    """
    parts = [known] if refit == "train" else [known, hidden]
    if test_given:
        sources = [known, hidden.assign(source_row=hidden["source_row"] + len(known))][: len(parts)]
        order = np.concatenate([part["source_row"].to_numpy(dtype=np.int64) for part in sources])
    else:
        sources = [known, hidden]
        order = np.concatenate([part["source_row"].to_numpy(dtype=np.int64) for part in parts])
    table = pd.concat(sources, ignore_index=True).sort_values("source_row", kind="stable")
    return order, labels_in(table)
