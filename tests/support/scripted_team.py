"""What the loopback server says when it plays the whole team: plans, programs and reviews for any tabular task."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.llm_server import Reply

MARKER = "Written by the loopback model"
"""Found in every program of the scripted team and in no other."""

NOT_JSON = "I think a forest would suit this data well. Let me know if I should go ahead!"

PROGRAM = f'''"""{MARKER}: extremely randomised trees over encoded columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

TREES = 120


def fit(X, y, *, task, seed, time_limit, n_jobs):
    """Train the forest; the number of trees is fixed, so the clock is never needed."""
    columns = dict(task["columns"])
    labels = y.to_numpy()
    shape = {{"n_estimators": TREES, "min_samples_leaf": 2, "max_features": 0.5, "random_state": seed, "n_jobs": n_jobs}}
    forest = ExtraTreesRegressor(**shape)
    if task["kind"] != "regression":
        forest = ExtraTreesClassifier(**shape)
        labels = np.array([task["classes"].index(label) for label in y])
    pipeline = Pipeline([("encode", encoder(columns)), ("forest", forest)])
    pipeline.fit(table(X, columns), labels)
    seen = [] if task["kind"] == "regression" else [int(label) for label in pipeline.classes_]
    return {{
        "pipeline": pipeline,
        "columns": columns,
        "width": len(task["classes"]),
        "seen": seen,
        "effective": {{"n_estimators": TREES}},
    }}


def predict(model, X):
    """Values, or probabilities of all classes, also of those the training rows lacked."""
    rows = table(X, model["columns"])
    if not model["width"]:
        return model["pipeline"].predict(rows)
    probabilities = np.zeros((len(X), model["width"]))
    probabilities[:, model["seen"]] = model["pipeline"].predict_proba(rows)
    return probabilities


def table(X, columns):
    """The columns in one order, dates as numbers, text without gaps."""
    parts = {{}}
    for name, kind in columns.items():
        if kind == "numeric":
            parts[name] = X[name].astype(float)
        elif kind == "datetime":
            moment = pd.to_datetime(X[name])
            parts[name + " day"] = moment.map(lambda day: day.toordinal() if pd.notna(day) else np.nan).astype(float)
            parts[name + " month"] = moment.dt.month.astype(float)
        else:
            parts[name] = X[name].fillna("missing").astype(str).astype(object)
    return pd.DataFrame(parts, index=X.index)


def encoder(columns):
    """One step per kind of column."""
    numbers = [name for name, kind in columns.items() if kind == "numeric"]
    for name in (name for name, kind in columns.items() if kind == "datetime"):
        numbers += [name + " day", name + " month"]
    categories = [name for name, kind in columns.items() if kind == "category"]
    steps = [("numbers", SimpleImputer(strategy="median", keep_empty_features=True), numbers)] if numbers else []
    if categories:
        ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        steps.append(("categories", ordinal, categories))
    for place, (name, kind) in enumerate(columns.items()):
        if kind in ("text", "sequence"):
            shape = {{"token_pattern": r"\\S+"}} if kind == "text" else {{"analyzer": "char", "ngram_range": (1, 3)}}
            words = TfidfVectorizer(max_features=500, **shape)
            steps.append((f"text{{place}}", words, name))
    return ColumnTransformer(steps)
'''

BREAKS_CONTRACT = f'''"""{MARKER}, but there is no predict, and the import is not allowed."""

import socket


def fit(X, y):
    return socket
'''
"""A program that the static check refuses."""

FAMILIES = ("randomised trees", "shallow forest", "deep forest", "forest on ranks", "wide forest", "small forest")


def scripted_team(program: str = PROGRAM, *, stumble: bool = False) -> Callable[[dict[str, Any]], Reply]:
    """Replies to any question of any role.

    stumble: the first reply to a program question is no JSON, the next one a program that the static check refuses.
    `asked` on the result counts the requests per kind of answer.
    """
    stumbles = iter([NOT_JSON, BREAKS_CONTRACT] if stumble else [])
    asked: Counter[str] = Counter()
    turns = itertools.count()

    def reply(request: dict[str, Any]) -> Reply:
        kind = answer_kind(request)
        asked[kind] += 1
        if kind == "PlanAnswer":
            return {"answer": _plans(request)}
        if kind == "ReviewAnswer":
            return {"answer": {"summary": "The loopback model finds nothing against it.", "concerns": []}}
        if kind == "InferenceAnswer":
            return {"answer": {"code": data_block(request, "reference"), "notes": "Used as it is."}}
        if kind == "ProgramAnswer":
            fault = next(stumbles, None)
            if fault == NOT_JSON:
                return fault
            if fault is not None:
                return {"answer": {"code": fault, "notes": "a try"}}
        return {"answer": {"code": f"```python\n{program}```", "notes": f"Reply {next(turns)} of the loopback model."}}

    reply.asked = asked  # type: ignore[attr-defined]  # a function is enough of an object for one counter
    return reply


def answer_kind(request: dict[str, Any]) -> str:
    """Name of the wanted answer, e.g. PlanAnswer, whichever way the request asks for it."""
    if request.get("tools"):
        return str(request["tools"][0]["function"]["name"])
    wanted = request.get("response_format", {})
    if wanted.get("type") == "json_schema":
        return str(wanted["json_schema"]["name"])
    found = re.search(r"Its JSON schema \((\w+)\)", str(request["messages"][0]["content"]))
    return found.group(1) if found else "ProgramAnswer"


def data_block(request: dict[str, Any], name: str) -> str:
    """Content of a data block in the question."""
    text = request["messages"][1]["content"]
    found = re.search(rf"<<<{name} (\w+)\n(.*?)\n{name} \1>>>", text, re.DOTALL)
    if found is None:
        raise AssertionError(f"the prompt has no block {name!r}:\n{text}")
    return found.group(2)


def _plans(request: dict[str, Any]) -> dict[str, Any]:
    text = request["messages"][1]["content"]
    iteration, count = (int(number) for number in re.search(r"Plan iteration (\d+): .*? (\d+) solution", text).groups())  # type: ignore[union-attr]  # a prompt without them should fail here
    findings = json.loads(data_block(request, "findings")) if "<<<findings " in text else []
    step = "as the framework does it"
    return {
        "iteration_plan": {
            "iteration": iteration,
            "mode": "explore" if iteration == 0 else "refine",
            **dict.fromkeys(("exploration", "split", "prediction_exploration", "evaluation"), step),
            "representation": "one encoder per kind of column",
            "architecture": "forests",
            "training": "squared error or gini",
            "inference": "the same encoder",
            "rationale": "forests need little tuning",
        },
        "plans": [
            {
                "id": f"loopback-{number}",
                "title": f"The loopback model's {FAMILIES[number % len(FAMILIES)]}",
                "rationale": "trees take mixed columns as they are",
                "recipe": "",
                "params": json.dumps({"trees": 120}),
                "operator": "draft",
                "parent": None,
                "cites": [finding["id"] for finding in findings[:1]],
                "representation": "ordinal codes, medians for gaps",
                "architecture": "120 extremely randomised trees",
                "training": "no early stopping",
                "inference": "mean of the trees",
                "estimate_seconds": 2.0,
            }
            for number in range(count)
        ],
    }


__all__ = ["BREAKS_CONTRACT", "MARKER", "NOT_JSON", "PROGRAM", "answer_kind", "data_block", "scripted_team"]
