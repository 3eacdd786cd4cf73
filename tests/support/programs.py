"""Small real programs, data and jobs that tests of execution share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from state.jobs import Job, Limits
from tools.artifacts import ArtifactStore

LOGISTIC = '''
"""Logistic regression on the numeric columns."""
import numpy as np
from sklearn.linear_model import LogisticRegression


def fit(X, y, *, task, seed, time_limit, n_jobs):
    model = LogisticRegression(max_iter=200).fit(X[["height", "width"]], y)
    return {"model": model, "effective": {"rounds": np.int64(200), "features": ("height", "width")}}


def predict(model, X):
    found = model["model"].predict_proba(X[["height", "width"]])
    full = np.zeros((len(X), 2))
    full[:] = found
    return full
'''

ROWS = 240
TASK = {"kind": "binary", "metric": "roc_auc", "classes": ["no", "yes"], "positive": "yes"}


def table(rows: int = ROWS) -> tuple[pd.DataFrame, pd.Series[Any]]:
    """Features with a learnable yes/no label, deterministic."""
    generator = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "height": generator.normal(size=rows),
            "width": generator.normal(size=rows),
            "colour": np.array(["red", "blue", np.nan], dtype=object)[generator.integers(0, 3, rows)],
        }
    )
    is_yes = frame["height"] + 0.3 * generator.normal(size=rows) > 0
    return frame, pd.Series(np.where(is_yes, "yes", "no").astype(object), name="label")


def limits(**changes: Any) -> Limits:
    """Limits that are wide enough for every honest program here, also where much else is at work."""
    return Limits(**{"seconds": 600.0, "memory_mb": 1500, "disk_mb": 200, **changes})


def learning_job(store: ArtifactStore, program: str, kind: str = "fold", **changes: Any) -> Job:
    """A fold, fit or explain job on `table()`: the first 180 rows train, the rest validate (or are the probe)."""
    frame, label = table()
    rows = pd.DataFrame({"row": np.arange(len(frame)).astype(float), "label": label})
    other = "probe.arrow" if kind == "fit" else "valid.arrow"
    files = {
        "program.py": store.put_text(program),
        "features.arrow": store.put_frame(frame),
        "train.arrow": store.put_frame(rows.iloc[:180].reset_index(drop=True)),
        other: store.put_frame(rows[["row"]].iloc[180:].reset_index(drop=True)),
    }
    facts: dict[str, Any] = {
        "kind": kind,
        "files": files,
        "params": {"task": TASK, "seed": 7},
        "time_limit": 30.0,
        "limits": limits(),
    }
    return Job(**{**facts, **changes})


def script_job(store: ArtifactStore, text: str, *arguments: str, **changes: Any) -> Job:
    """A job that runs `text` as a script with arguments."""
    facts: dict[str, Any] = {
        "kind": "script",
        "files": {"run/main.py": store.put_text(text)},
        "params": {"argv": ["run/main.py", *arguments]},
        "limits": limits(),
    }
    return Job(**{**facts, **changes})
