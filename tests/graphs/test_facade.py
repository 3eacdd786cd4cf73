"""The Model facade: intent and schemas first, then build, predict, describe, save and load."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import modelwright
from tests.support.command import environment
from tests.support.tables import flowers, houses, loans


class Loan(BaseModel):
    """What is known of a loan when it is asked for."""

    income: float
    debt: float
    purpose: str | None


class Answer(BaseModel):
    default: str


ROW = {"income": 21000.0, "debt": 15000.0, "purpose": "travel"}


class Seen:
    """A built model with what was seen while it was built."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.model = modelwright.Model("Predict which loans default.", Loan, Answer, ["False alarms are cheap."])
        self.before = self.model.describe()
        self.model.build(
            datasets=[loans(), loans(80, seed=21)],
            timeout=600,
            max_iterations=1,
            run_timeout=120,
            candidates=2,
            folds=3,
            callbacks=[self.events.append],
        )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELWRIGHT_HOME", str(tmp_path_factory.mktemp("facade") / "home"))
        yield Seen()


def test_described_before_it_is_built(seen: Seen) -> None:
    """Before a build there is what was asked, and nothing else."""
    assert seen.before["state"] == "described"
    assert seen.before["metrics"] == {}
    assert seen.before["input_schema"]["income"] == "float"
    assert seen.before["output_schema"] == {"default": "str"}


def test_built_from_the_schemas_columns_only(seen: Seen) -> None:
    """The task is the output schema's column, its features the input schema's, its test set the second data set."""
    model = seen.model
    assert model.state == "done"
    assert model.run is not None
    task = next(event["data"] for event in seen.events if event["kind"] == "task")
    assert (task["target"], task["features"], task["sealed_rows"]) == ("default", 3, 80)
    assert model.run.settings.intent == "Predict which loans default. False alarms are cheap."
    assert model.run.settings.run_timeout == 120
    assert model.metrics["low"] <= model.metrics["score"] <= model.metrics["high"]
    assert model.metrics["test"]["rows"] == 80
    assert model.describe()["metrics"] == model.metrics


def test_callbacks_get_every_event(seen: Seen) -> None:
    """From the first phase to the end, with reasons among them."""
    kinds = {event["kind"] for event in seen.events}
    assert {"phase", "task", "plans", "candidate", "decision", "verdict", "finished"} <= kinds


def test_one_row_gives_one_mapping(seen: Seen) -> None:
    """A dict in, a dict out: the target's name with the prediction, and plain numbers for each class."""
    out = seen.model.predict(ROW)
    assert list(out) == ["default", "proba_no", "proba_yes"]
    assert out["default"] in {"yes", "no"}
    assert json.loads(json.dumps(out)) == out
    assert out["proba_no"] + out["proba_yes"] == pytest.approx(1)


def test_a_frame_gives_a_frame(seen: Seen) -> None:
    """The same model answers tables, under their own index."""
    rows = loans(6, seed=5).set_index("loan_id")
    predicted = seen.model.predict(rows)
    assert list(predicted.index) == list(rows.index)


def test_saved_here_and_loaded_elsewhere(seen: Seen, tmp_path: Path) -> None:
    """Another process loads the folder, describes it and gives the same answer."""
    folder = seen.model.save(tmp_path / "kept")
    code = (
        "import json, modelwright; model = modelwright.Model.load('kept'); "
        f"print(json.dumps([model.state, model.metrics['score'], model.predict({ROW!r}), model.input_schema]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path / "other-home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    state, score, answer, schema = json.loads(done.stdout)
    assert state == "done"
    assert score == pytest.approx(seen.model.metrics["score"])
    assert answer == pytest.approx(seen.model.predict(ROW))
    assert set(schema) == {"income", "debt", "purpose"}
    with pytest.raises(modelwright.ModelwrightError, match="exists already"):
        seen.model.save(folder)


def test_a_changed_folder_is_refused(seen: Seen, tmp_path: Path) -> None:
    """A model is loaded only when every recorded hash matches."""
    folder = seen.model.save(tmp_path / "kept")
    program = folder / "model_inference" / "inference.py"
    program.write_text(program.read_text() + "\n# changed\n")
    with pytest.raises(modelwright.ModelwrightError, match=r"inference\.py"):
        modelwright.Model.load(folder)


def test_it_shows_itself(seen: Seen) -> None:
    """repr for a terminal, a card for a notebook."""
    assert repr(seen.model) == "<Model 'Predict which loans default.' done>"
    assert "<svg" in seen.model._repr_html_()
    assert "&lt;Model" in modelwright.Model("Say <b>what</b>")._repr_html_()


# ---- what is refused, before any work -------------------------------------------------------------------------------


def test_columns_the_data_lacks_are_all_named(home: Path) -> None:
    """Wrong schemas are refused naming every column that is not there."""
    model = modelwright.Model("Predict flowers.", {"petal": float, "stem": float}, {"species": str})
    with pytest.raises(modelwright.InputError) as caught:
        model.build([flowers()])
    assert len(caught.value.problems) == 2
    assert "'stem'" in str(caught.value)
    assert "'species'" in str(caught.value)
    assert modelwright.runs() == []


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: modelwright.Model("  "), "intent is empty"),
        (lambda: modelwright.Model("x", input_schema=["a"]), "no schema"),
        (lambda: modelwright.Model("x").build([]), "no data set"),
        (lambda: modelwright.Model("x").build([1, 2, 3]), "3 data sets"),
        (lambda: modelwright.Model("x").predict({"a": 1}), "no model yet"),
        (lambda: modelwright.Model("x").save("somewhere"), "no model yet"),
        (lambda: modelwright.Model("x").build([houses()], provider="nonsense"), "names no expert"),
    ],
)
def test_what_makes_no_sense_is_said(make: Any, told: str, home: Path) -> None:
    """Each mistake has a sentence of its own."""
    with pytest.raises(modelwright.ModelwrightError, match=told):
        make()


def test_providers_name_experts_per_role(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A string stands for all roles, a ProviderConfig for each; the settings of the run hold both as experts."""
    given: list[Any] = []
    monkeypatch.setattr(
        "graphs.session.start", lambda settings, **more: given.append(settings) or (_ for _ in ()).throw(Stop)
    )
    config = modelwright.ProviderConfig("builtin", engineer_provider="openai/gpt-5-mini")
    for provider in ("openai/gpt-4o-mini", config, None):
        with pytest.raises(Stop):
            modelwright.Model("Estimate the price.", output_schema={"price": float}).build(
                [houses()], provider=provider
            )
    assert set(given[0].experts.values()) == {"openai:gpt-4o-mini"}
    assert given[1].expert_for("engineer") == "openai:gpt-5-mini"
    assert given[1].expert_for("researcher") == "builtin"
    assert given[2].expert_for("engineer") == "builtin"
    assert given[2].kind == "regression"
    assert given[2].run_timeout == 1800


class Stop(Exception):
    """Ends a call where the build would begin."""


def test_verbose_tells_phases_and_chain_of_thought_reasons(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Verbose prints phases and candidates; with chain_of_thought the reasons stand among them."""
    from graphs.facade import _talk

    task = {"kind": "note", "role": "analyst", "text": "a reason", "data": {}, "seq": 1}
    phase = {"kind": "phase", "role": "analyst", "text": "", "data": {}, "seq": 2}
    for event in (task, phase):
        _talk(False)(event)
    quiet = capsys.readouterr().err
    for event in (task, phase):
        _talk(True)(event)
    talkative = capsys.readouterr().err
    assert "analyst" in quiet
    assert "a reason" not in quiet
    assert "a reason" in talkative


@pytest.mark.parametrize("target", ["price,year", " price , year ", ["price", "year"], ("price", "year")])
def test_several_targets_beside_an_input_schema(target: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named with commas or as a list, they are kept beside the schema's columns; one that is absent is named alone."""
    given: list[Any] = []
    monkeypatch.setattr(
        "graphs.session.start", lambda settings, **more: given.append((settings, more)) or (_ for _ in ()).throw(Stop)
    )
    model = modelwright.Model("Estimate both.", input_schema={"area": float})
    with pytest.raises(Stop):
        model.build([houses()], target=target)
    ((settings, more),) = given
    assert [part.strip() for part in settings.target.split(",")] == ["price", "year"]
    assert set(more["frame"].frame.columns) == {"area", "price", "year"}
    with pytest.raises(modelwright.InputError, match="there is no column 'stairs'") as caught:
        model.build([houses()], target=["price", "year", "stairs"])
    assert [problem.where for problem in caught.value.problems] == ["the DataFrame, target"]
