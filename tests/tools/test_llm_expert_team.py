"""The scripted team of the loopback server: what it says is good enough to build real models with."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.llm_server import LlmServer, strict_faults
from tests.support.questions import program_question, repair_question
from tests.support.scripted_team import BREAKS_CONTRACT, MARKER, PROGRAM, scripted_team
from tools.experts.llm import LlmExpert
from tools.portable.saving import load_model, save_model
from tools.program import check_program

COLUMNS = {"age": "numeric", "port": "category", "remark": "text", "booked": "datetime", "dna": "sequence"}


@pytest.fixture(scope="module")
def program() -> ModuleType:
    module = ModuleType("scripted_program")
    exec(compile(PROGRAM, "scripted_program.py", "exec"), module.__dict__)
    return module


def table(rows: int) -> pd.DataFrame:
    """Mixed columns with gaps, in the canonical storage types."""
    random = np.random.default_rng(1)
    words = np.array(["calm", "late", "rich", "poor", "old"])
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 10, rows),
            "port": random.choice(["S", "C", "Q"], rows).astype(object),
            "remark": pd.Series([" ".join(random.choice(words, 4)) for _ in range(rows)], dtype=object),
            "booked": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, rows), unit="D"),
            "dna": pd.Series(["".join(random.choice(list("ACGT"), 12)) for _ in range(rows)], dtype=object),
        }
    )
    frame.loc[::7, ["age", "booked"]] = None
    frame.loc[::5, ["port", "remark"]] = np.nan
    return frame


@pytest.mark.parametrize(
    ("kind", "classes"), [("binary", ["no", "yes"]), ("multiclass", [0, 1, 2, 3]), ("regression", [])]
)
def test_its_program_learns_predicts_and_is_saved(
    program: ModuleType, kind: str, classes: list[Any], tmp_path: Path
) -> None:
    """Any kind of task and column; columns follow the classes, also those never seen; the saved model says the same."""
    X = table(150)
    signal = X["age"].fillna(40)
    y = signal * 2.0
    if kind == "binary":
        y = pd.Series(np.where(signal > 40, "yes", "no"), dtype=object)
    elif kind == "multiclass":
        y = pd.Series(np.where(signal > 40, 3, 1))  # 0 and 2 do not occur
    task = {"kind": kind, "classes": classes, "columns": COLUMNS}
    model = program.fit(X[:100], y[:100], task=task, seed=0, time_limit=10.0, n_jobs=1)
    rest = X[100:].reset_index(drop=True)
    predicted = program.predict(model, rest)
    assert predicted.shape == ((50, len(classes)) if classes else (50,))
    assert np.isfinite(predicted).all()
    if classes:
        assert np.allclose(predicted.sum(axis=1), 1)
        truth = np.array([classes.index(label) for label in y[100:]])
        assert (predicted.argmax(axis=1) == truth).mean() > 0.8
    else:
        assert np.corrcoef(predicted, y[100:])[0, 1] > 0.8
    assert save_model(model, tmp_path)["unsafe"] is False
    assert np.array_equal(program.predict(load_model(tmp_path), rest), predicted)


def test_its_first_replies_can_be_wrong() -> None:
    """With `stumble` comes prose, then a program the static check refuses, and at the repair the real one."""
    team = scripted_team(stumble=True)
    with LlmServer(team) as server:
        expert = LlmExpert("openai:scripted", base_url=server.url)
        refused = expert.ask(program_question()).code
        problems = check_program(refused)
        assert refused == BREAKS_CONTRACT
        assert problems
        repaired = expert.ask(repair_question(code=refused, problems=problems)).code
        assert check_program(repaired) == []
        assert MARKER in repaired
    assert server.calls == 3


def test_the_server_streams_too() -> None:
    """The same reply arrives in pieces as server-sent events, with usage when asked for."""
    body = {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with LlmServer(["a reply that is longer than one piece of the stream"]) as server:
        request = urllib.request.Request(
            f"{server.url}/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            lines = [line[6:] for line in response.read().decode().splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    text = "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"])
    assert text == "a reply that is longer than one piece of the stream"
    assert chunks[-1]["usage"]["total_tokens"] > 0


def test_the_server_knows_the_rules_of_strict_schemas() -> None:
    """Open objects, optional properties and defaults are found, and a property may well be called `default`."""
    good = {
        "type": "object",
        "properties": {"default": {"type": "string"}},
        "required": ["default"],
        "additionalProperties": False,
    }
    assert list(strict_faults(good)) == []
    assert len(list(strict_faults({"type": "object", "properties": {"a": {"default": 1}}}))) == 3
