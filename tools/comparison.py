"""Runs held against each other: plans, programs, scores, cost. Everything is read from what the runs have left behind.

Scores are compared by a paired test on the rows both winners have out-of-fold predictions for. That says something only
when these predictions are for the same rows, made with the same folds and measured by the same metric; where they are not,
the comparison says which of it differs, and stays silent about who is better.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from state.brief import Brief
from state.candidate import Candidate
from state.errors import NotFound
from state.task import Prepared, Task
from tools.artifacts import ArtifactStore
from tools.catalogue import RunRow
from tools.checkpointrows import has_database, read_thread
from tools.history import Step
from tools.places import run_place
from tools.store import open_run_log

_CONTEXT = 2
"""Lines around a change in a program."""
_NO_PLAN = ("id", "estimate_seconds", "cites", "grounds", "rationale")
"""Fields of a plan that do not say what is done."""


@dataclass(frozen=True)
class Left:
    """What one run has left behind."""

    run: RunRow
    state: dict[str, Any]
    task: Task | None
    prepared: Prepared | None
    candidates: dict[str, Candidate]
    steps: list[Step]
    fork: dict[str, Any]
    """For a fork: where it began (`step`, `spent`, `seq` of the event, …); else empty."""

    @property
    def best(self) -> Candidate | None:
        return self.candidates.get(self.state.get("best") or "")

    def weights(self) -> dict[str, float]:
        """Candidate → weight in the chosen model."""
        if self.best is None:
            return {}
        return {one.candidate: one.weight for one in self.best.members} or {self.best.id: 1.0}


def read_run(run: RunRow, artifacts: ArtifactStore) -> Left:
    """Read what a run has left. Raises NotFound when it has left no checkpoint to read."""
    log = open_run_log(run.id)
    try:
        steps, events = log.history().steps, log.events()
        thread = next((step.thread for step in reversed(steps) if step.thread), run.id)
        place = run_place(thread)
        state = read_thread(place, thread).newest() if has_database(place) else {}
        if not state:
            raise NotFound(
                f"run {run.name!r} has no state to compare: it has not begun, or was driven without checkpoints of ours",
                hint=f"`modelwright show {run.name}` tells where it stands",
            )
        candidates = log.candidates(state.get("candidates_version", 0))
    finally:
        log.close()
    brief = Brief.model_validate(artifacts.get_json(state["brief"])) if "brief" in state else None
    forks = [{**event["data"], "seq": event["seq"]} for event in events if event["kind"] == "fork"]
    return Left(
        run=run,
        state=state,
        task=brief.task if brief else None,
        prepared=brief.prepared if brief else None,
        candidates=candidates,
        steps=steps,
        fork=forks[-1] if forks else {},
    )


def compare_runs(found: Sequence[Left], artifacts: ArtifactStore) -> dict[str, Any]:
    """The comparison as plain data: {runs, settings, plans, programs, scores}. The first run is what others are held against."""
    first, others = found[0], found[1:]
    return {
        "runs": [_facts(one) for one in found],
        "settings": list(_settings(found)),
        "plans": list(_plans(found)),
        "programs": [pair for other in others for pair in _programs(first, other, artifacts)],
        "scores": [paired_test(first, other, artifacts) for other in others],
    }


# ---- facts and cost ---------------------------------------------------------------------------------------------


def _facts(one: Left) -> dict[str, Any]:
    best, verdict, task = one.best, one.state.get("verdict") or {}, one.task
    score = best.score if best else None
    opening = verdict.get("opening") or {}
    return {
        "id": one.run.id,
        "name": one.run.name,
        "status": one.run.status,
        "created": one.run.created,
        "parent": one.fork.get("name"),
        "forked_at": one.fork.get("step"),
        "data": one.run.data,
        "target": task.target if task else None,
        "kind": task.kind if task else None,
        "metric": task.metric.name if task else None,
        "direction": task.metric.direction if task else None,
        "split": f"{task.split.kind}, {task.split.folds} folds" if task else None,
        "rows": one.prepared.rows if one.prepared else None,
        "sealed_rows": one.prepared.sealed_rows if one.prepared else None,
        "best": best.id if best else None,
        "title": best.plan.title if best else None,
        "members": one.weights() if best and best.members else {},
        "score": score.value if score else None,
        "low": score.low if score else None,
        "high": score.high if score else None,
        "test": verdict.get("test"),
        "opening": opening.get("number"),
        "opened_before_by": [earlier.get("name") or earlier.get("run") for earlier in opening.get("earlier", [])],
        "verdict": verdict.get("decision"),
        "candidates": len([candidate for candidate in one.candidates.values() if not candidate.members]),
        "iterations": one.state.get("iteration", -1) + 1,
        "cost": _cost(one),
    }


def _cost(one: Left) -> dict[str, Any]:
    """What the run itself took. A fork is not charged with what its parent had done before."""
    own = [step for step in one.steps if step.seq > one.fork.get("seq", 0)]
    return {
        "seconds": round(max(0.0, one.run.active_seconds - one.fork.get("spent", 0.0)), 2),
        "trainings": sum(step.trainings for step in own),
        "training_seconds": round(sum(step.training_seconds for step in own), 2),
        "reused": sum(step.reused for step in own),
        "questions": sum(step.questions for step in own),
        "tokens": sum(step.tokens for step in own),
        "dollars": round(sum(step.cost for step in own), 6),
    }


def _settings(found: Sequence[Left]) -> Iterator[dict[str, Any]]:
    """Settings that are not the same in all runs; names always differ."""
    names = dict.fromkeys(name for one in found for name in one.run.settings)
    for name in names:
        values = [one.run.settings.get(name) for one in found]
        if name != "name" and any(value != values[0] for value in values):
            yield {"setting": name, "values": values}


# ---- plans and programs -----------------------------------------------------------------------------------------


def _plans(found: Sequence[Left]) -> Iterator[dict[str, Any]]:
    """A row per candidate of any run: what became of it in each, and in which fields its plans differ."""
    for name in dict.fromkeys(name for one in found for name in one.candidates):
        there = [one.candidates.get(name) for one in found]
        known = [candidate for candidate in there if candidate is not None]
        yield {
            "id": name,
            "title": known[0].plan.title,
            "runs": [
                None
                if candidate is None
                else {
                    "status": candidate.status,
                    "score": candidate.score.value if candidate.score else None,
                    "weight": one.weights().get(name),
                    "best": one.best is not None and one.best.id == name,
                    "seconds": candidate.seconds,
                    "reason": candidate.reason,
                }
                for one, candidate in zip(found, there, strict=True)
            ],
            "differs": _differences([candidate.plan.plain() for candidate in known]) if not known[0].members else [],
        }


def _differences(plans: list[dict[str, Any]]) -> list[str]:
    """Lines such as `params.trees: 300 → 60`."""
    flat = [_flattened({name: value for name, value in plan.items() if name not in _NO_PLAN}) for plan in plans]
    names = dict.fromkeys(name for plan in flat for name in plan)
    return [
        f"{name}: {' → '.join(str(plan.get(name, 'not set')) for plan in flat)}"
        for name in names
        if any(plan.get(name) != flat[0].get(name) for plan in flat)
    ]


def _flattened(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, item in value.items():
        flat |= _flattened(item, f"{prefix}{name}.") if isinstance(item, dict) else {f"{prefix}{name}": item}
    return flat


def _programs(first: Left, other: Left, artifacts: ArtifactStore) -> Iterator[dict[str, Any]]:
    """Candidates whose programs differ between two runs; and the heaviest of both models, when neither run has both."""
    written = [{name: one.program for name, one in left.candidates.items() if one.program} for left in (first, other)]
    pairs = [(name, name) for name in written[0] if name in written[1] and written[0][name] != written[1][name]]
    heaviest = [_heaviest(left) for left in (first, other)]
    strangers = heaviest[0] not in written[1] and heaviest[1] not in written[0]
    if strangers and heaviest[0] in written[0] and heaviest[1] in written[1]:
        pairs.append((heaviest[0], heaviest[1]))
    for one, two in pairs:
        before, after = (artifacts.get_text(str(part[name])) for part, name in zip(written, (one, two), strict=True))
        yield {
            "one": first.run.name,
            "other": other.run.name,
            "candidates": [one, two],
            "diff": list(
                difflib.unified_diff(
                    before.splitlines(),
                    after.splitlines(),
                    f"{first.run.name}/{one}.py",
                    f"{other.run.name}/{two}.py",
                    n=_CONTEXT,
                    lineterm="",
                )
            ),
        }


def _heaviest(one: Left) -> str:
    weights = one.weights()
    return max(weights, key=lambda name: weights[name], default="")


# ---- scores -----------------------------------------------------------------------------------------------------


def paired_test(first: Left, other: Left, artifacts: ArtifactStore) -> dict[str, Any]:
    """The winners of two runs on the rows both predicted: {one, other, why, rows, gain, low, high, better_share, says}.

    gain: by how much the other run is better, in the metric, positive when it is. why: the reason why they cannot be
    compared; then there are no numbers.
    """
    told = {"one": first.run.name, "other": other.run.name}
    if why := _incomparable(first, other):
        return {**told, "why": why, "says": f"not compared: {why}"}
    return {**told, "why": "", **_measured(first, other, artifacts)}


def _incomparable(first: Left, other: Left) -> str:
    """Why a paired test would say nothing; empty when it says something."""
    for one in (first, other):
        if one.best is None or not one.best.usable:
            return f"{one.run.name} has no scored winner"
        if one.task is None or one.prepared is None:
            return f"{one.run.name} has no task yet"
    assert first.task is not None
    assert other.task is not None
    assert first.prepared is not None
    assert other.prepared is not None
    return _different((first.task, first.prepared), (other.task, other.prepared))


def _different(first: tuple[Task, Prepared], other: tuple[Task, Prepared]) -> str:
    """In what two tasks differ that makes their out-of-fold predictions ones of different things."""
    (task, prepared), (their, theirs) = first, other
    if prepared.source != theirs.source:
        return "they were built from different data"
    if task.target != their.target or task.classes != their.classes:
        return f"they predict different things: {task.target!r} and {their.target!r}"
    if task.metric != their.metric:
        return f"they are measured by different metrics: {task.metric.name} and {their.metric.name}"
    if prepared.labels != theirs.labels:
        return "other rows are held back, or their order is another: the seed or the share of the test set differs"
    if prepared.valid_files != theirs.valid_files:
        return f"their validation folds are not the same: {task.split.folds} and {their.split.folds} folds"
    return ""


def _measured(first: Left, other: Left, artifacts: ArtifactStore) -> dict[str, Any]:
    from tools.labels import labels_in
    from tools.scoring import compare
    from tools.selection import OutOfFold, at_rows, common_rows
    from tools.units import at, units_of

    def predictions(one: Left) -> OutOfFold:
        frame = artifacts.get_frame(_winner(one))
        values = frame.drop(columns="row").to_numpy()
        return OutOfFold(frame["row"].to_numpy().astype(int), values[:, 0] if values.shape[1] == 1 else values)

    assert first.task is not None
    assert first.prepared is not None
    task, theirs, ours = first.task, predictions(other), predictions(first)
    rows = common_rows([theirs, ours])
    if not rows.size:
        return {"why": "no row was predicted by both", "says": "not compared: no row was predicted by both"}
    if _winner(first) == _winner(other):
        said = f"{other.run.name} and {first.run.name} predict the same, row by row"
        return {"rows": int(rows.size), "gain": 0.0, "low": 0.0, "high": 0.0, "better_share": 0.5, "says": said}
    frame = artifacts.get_frame(first.prepared.labels)
    labels = labels_in(frame)[rows]
    units = at(units_of(task, frame), rows)
    found = compare(
        task.metric, labels, at_rows(theirs, rows), at_rows(ours, rows), task.classes, task.positive, groups=units
    )
    return {"rows": int(rows.size), **found, "says": _says(first.run.name, other.run.name, found)}


def _winner(one: Left) -> str:
    """Reference of the winner's out-of-fold predictions."""
    return str(one.best.scored_on if one.best else None)


def _says(first: str, other: str, found: dict[str, float]) -> str:
    gain, low, high = found["gain"], found["low"], found["high"]
    interval = f"95 % interval {low:+.4g} to {high:+.4g}"
    if low > 0:
        return f"{other} is better than {first} by {gain:.4g} ({interval})"
    if high < 0:
        return f"{first} is better than {other} by {-gain:.4g} ({interval})"
    return f"not told apart: {other} against {first} {gain:+.4g} ({interval})"
