"""Writes model_inference/inference.py: the program that predicts new rows, and the schema it reads."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from state.candidate import Combination
from state.release import ReleaseMember
from state.task import Task
from tools.release.sources import template, with_docstring

SCHEMA_VERSION = 2
_SHOWN = 30
"""Columns named in a docstring; schema.json has them all."""


def inference_program(
    task: Task, members: Sequence[ReleaseMember | Mapping[str, Any]], combination: Mapping[str, Any] | None = None
) -> str:
    """Source of the inference program of a release: one portable module, run as a script or imported.

    members: records, or mappings with at least `candidate` and `weight` (as in an InferenceQuestion). combination: the
    rule the members are combined by, for the words of the docstring. The program reads manifest.json, the schema and
    modules beside it, and programs and models from ../model_training.
    """
    return with_docstring(template("inference.py"), _describe(task, members, combination or Combination().rule()))


def output_columns(task: Task) -> list[dict[str, Any]]:
    """Columns of the predictions, in order: {name, type: integer | text | number} and `label` for a probability."""
    if task.kind == "multiregression":
        return [{"name": f"prediction_{name}", "type": "number", "target": name} for name in task.targets]
    if task.kind == "multilabel":
        tags = [{"name": "prediction", "type": "text"}] if task.tag_separator else []
        answers = [{"name": f"prediction_{name}", "type": "integer"} for name in task.targets]
        return [
            *tags,
            *answers,
            *({"name": f"proba_{name}", "type": "number", "target": name} for name in task.targets),
        ]
    if not task.is_classification:
        return [{"name": "prediction", "type": "number"}]
    kind = "integer" if all(isinstance(label, int) for label in task.classes) else "text"
    shares = [{"name": f"proba_{label}", "type": "number", "label": label} for label in task.classes]
    return [{"name": "prediction", "type": kind}, *shares]


def schema(
    task: Task,
    read_spec: dict[str, Any],
    *,
    seed: int,
    n_jobs: int,
    labels: str | None = None,
    combination: Combination | None = None,
) -> dict[str, Any]:
    """Content of schema.json: everything inference.py and train.py need to know about the data.

    labels: hash of the training labels (see train.py), by which train.py recognises the original data. combination: how
    members are combined and probabilities decided; the weighted mean and the most probable class by default.
    """
    from tools.several import target_columns  # brings pandas, which whoever predicts with a release does without

    types = read_spec["columns"]
    return {
        "format_version": SCHEMA_VERSION,
        "task": task.for_program(),
        "target": task.target,
        "target_columns": target_columns(task),
        "target_texts": task.target_texts,
        "tag_separator": task.tag_separator,
        "features": [
            {"name": feature.name, "kind": feature.kind, "type": types[feature.name]["type"]}
            for feature in task.features
        ],
        "outputs": output_columns(task),
        "combination": (combination or Combination()).rule(),
        "read": {
            **read_spec,
            "columns": {
                name: types[name] for name in [*(feature.name for feature in task.features), *target_columns(task)]
            },
        },
        "training": {"seed": seed, "n_jobs": n_jobs, "labels": labels},
    }


def _models(member: ReleaseMember | Mapping[str, Any]) -> int:
    """How many fitted models a member stands for."""
    return 1 if isinstance(member, ReleaseMember) else int(member.get("models", 1))


def _outputs(task: Task) -> str:
    if task.kind == "multilabel":
        tags = "`prediction` (the tags of at least one half), " if task.tag_separator else ""
        return f"{tags}`prediction_<label>` (0 or 1) and `proba_<label>` for each label."
    if task.kind == "multiregression":
        return "`prediction_<target>` for each target."
    return "`prediction`" + (", and `proba_<label>` for each class." if task.is_classification else ".")


def _describe(task: Task, members: Sequence[ReleaseMember | Mapping[str, Any]], rule: Mapping[str, Any]) -> str:
    """The docstring: what is predicted, from what, how to call it."""
    weights = [
        (member.candidate, member.weight)
        if isinstance(member, ReleaseMember)
        else (str(member["candidate"]), float(member["weight"]))
        for member in members
    ]
    what = f"a value of {task.target!r}"
    if task.targets:
        what = f"{len(task.targets)} targets at once: {', '.join(map(repr, task.targets[:10]))}"
    if task.is_classification:
        what = f"{task.target!r}: one of {', '.join(map(repr, task.classes[:10]))}" + (", …" * (len(task.classes) > 10))
    names = [repr(feature.name) for feature in task.features]
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more (schema.json)" * (len(names) > _SHOWN))
    shares: dict[str, float] = {}
    for name, weight in weights:
        shares[name] = shares.get(name, 0.0) + weight
    total, made_of = sum(shares.values()), f"the program {weights[0][0]}"
    if len(shares) > 1:
        mean = Combination.model_validate(dict(rule)).words
        mean += " (scaled and moved)" if rule["scale"] != 1.0 or rule["offsets"] else ""
        made_of = f"the {mean} of " + ", ".join(f"{name} ({share / total:.1%})" for name, share in shares.items())
    if len(weights) > len(shares) or any(_models(member) > 1 for member in members):
        made_of += ", each the mean of models fitted on parts of the rows"
    answer = "`prediction` is the class with the largest weight × probability; the weights are in schema.json."
    paragraphs = [
        f"Predicts {what}.",
        f"Needs the columns {shown}, in any order; other columns are left out. The prediction is that of {made_of}.",
        "    python model_inference/inference.py --input new.csv --output predictions.csv",
        "The output has one line per input row, in the same order: "
        + _outputs(task)
        + f" {answer}" * bool(rule["decision"]),
        "From Python, with this folder on the path:",
        "    from inference import predict\n    predictions = predict(frame)  # a pandas DataFrame",
    ]
    return "\n\n".join(text if text.startswith("    ") else textwrap.fill(text, 110) for text in paragraphs)
