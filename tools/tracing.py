"""Collecting a run's numbers with their receipts: from its candidates, its decisions, and what was stored as it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from state.candidate import Candidate
from tools.receipts import EVENT, Number, baseline_id, number_id

_ORDER = (
    "test",
    "expected",
    "corrected",
    "optimism",
    "lift",
    "oof",
    "baseline",
    "gain",
    "curve",
    "calibration",
    "class",
)
_LATER = ("segment", "importance", "fold")


def collect_numbers(
    candidates: Mapping[str, Candidate], events: Iterable[Mapping[str, Any]], summary: Mapping[str, Any] | None = None
) -> dict[str, Number]:
    """Every number of a run by id: what was asked first comes first, single folds last.

    candidates and events: from the run's log. summary: the run's row in the catalogue, for runs of versions that kept no
    receipts of the sealed test and the baselines.
    """
    events = list(events)
    stored = stored_numbers(events)
    metric = _metric(events, summary or {})
    found = {**_from_summary(summary or {}, metric), **_from_candidates(candidates, events, metric)}
    found.update(_from_decisions(events, metric))
    found.update(stored)
    return dict(sorted(found.items(), key=lambda item: _rank(item[0])))


def _rank(name: str) -> int:
    kind = name.split(".", 1)[0]
    return _ORDER.index(kind) if kind in _ORDER else 50 + _LATER.index(kind) if kind in _LATER else 40


def _metric(events: list[Mapping[str, Any]], summary: Mapping[str, Any]) -> str:
    told = [event["data"].get("metric") for event in events if event["kind"] == "task"]
    return str((told[-1] if told else summary.get("metric")) or "score")


def stored_numbers(events: Iterable[Mapping[str, Any]]) -> dict[str, Number]:
    """The latest of each id; an equal repetition (a step that ran again) keeps the place of the first."""
    found: dict[str, Number] = {}
    for event in events:
        for plain in event["data"].get("numbers", []) if event["kind"] == EVENT else []:
            known = {name: value for name, value in plain.items() if name in Number.model_fields}
            number = Number.model_validate({**known, **_moment(event)})
            before = found.get(number.id)
            if before is None or before.but(event=None, time="", role="") != number.but(event=None, time="", role=""):
                found[number.id] = number
    return found


def _moment(event: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": event["seq"], "time": event["time"], "role": event["role"]}


def _from_candidates(
    candidates: Mapping[str, Candidate], events: list[Mapping[str, Any]], metric: str
) -> dict[str, Number]:
    """Out-of-fold scores and their folds."""
    moments: dict[str, dict[str, Any]] = {}
    keys: dict[tuple[str, int], str] = {}
    for event in events:
        data = event["data"]
        if event["kind"] == "candidate" and data["candidate"].get("score") is not None:
            moments.setdefault(data["candidate"]["id"], _moment(event))
        elif event["kind"] == "job" and data.get("key") and data.get("fold") is not None:
            keys[data["candidate"], data["fold"]] = data["key"]
    found = {}
    for one in candidates.values():
        for number in _numbers_of(one, metric, keys):
            found[number.id] = number.but(**moments.get(one.id, {}))
    return found


def _numbers_of(one: Candidate, metric: str, keys: Mapping[tuple[str, int], str]) -> list[Number]:
    score = one.score
    if score is None:
        return []
    jobs = list(one.attempts[-1].receipts) if one.attempts else []
    shared: dict[str, Any] = {"metric": metric, "candidate": one.id}
    shared["inputs"] = {"predictions": one.scored_on} if one.scored_on else {}
    whole = Number(
        id=number_id("oof", one.id),
        title=f"out-of-fold score of {one.plan.title or one.id}",
        value=score.value,
        low=score.low,
        high=score.high,
        rows=score.rows,
        rows_are="rows, out of fold",
        method="the metric over all pooled validation rows; 95 % interval by bootstrap, or the metric's own",
        jobs=jobs,
        made_of=[number_id("oof", member.candidate) for member in one.members],
        **shared,
    )
    places = score.fold_numbers or list(range(len(score.folds)))
    folds = []
    for index, (place, value) in enumerate(zip(places, score.folds, strict=False)):
        low, high = score.fold_intervals[index] if index < len(score.fold_intervals) else (None, None)
        key = keys.get((one.id, place))
        folds.append(
            Number(
                id=number_id("fold", one.id, place + 1),
                title=f"score of {one.id} on fold {place + 1}",
                value=value,
                low=low,
                high=high,
                rows_are=f"validation rows of fold {place + 1}",
                method="the metric over this fold's validation rows",
                jobs=[key] if key else jobs,
                **shared,
            )
        )
    return [whole, *folds]


def _from_decisions(events: list[Mapping[str, Any]], metric: str) -> dict[str, Number]:
    """Paired comparisons that a decision rests on."""
    found = {}
    for event in events:
        for pair in event["data"].get("compared", []) if event["kind"] == "decision" else []:
            if pair.get("gain") is None:
                continue
            name = number_id("gain", pair["one"], pair["other"])
            found[name] = Number(
                id=name,
                title=f"by how much {pair['one']} is better than {pair['other']}",
                value=pair["gain"],
                low=pair.get("low"),
                high=pair.get("high"),
                metric=metric,
                rows_are="rows that both predicted, out of fold",
                method="the difference of the two scores, paired: both on the same resamples; positive is better",
                candidate=pair["one"],
                made_of=[number_id("oof", pair["one"]), number_id("oof", pair["other"])],
                facts={name: pair[name] for name in pair if name not in {"one", "other", "gain", "low", "high"}},
                **_moment(event),
            )
    return found


def _from_summary(summary: Mapping[str, Any], metric: str) -> dict[str, Number]:
    found = []
    test, opening = summary.get("test"), summary.get("opening") or {}
    if test:
        known = {name: test.get(name) for name in ("value", "low", "high", "rows")}
        found.append(
            Number(
                id=number_id("test", metric),
                title="sealed test score",
                metric=metric,
                rows_are="sealed test rows",
                candidate=summary.get("best"),
                facts={"opening": opening} if opening else {},
                **known,
            )
        )
    found += [
        Number(
            id=baseline_id(step["name"]),
            title=f"{step['name']} baseline",
            value=step.get("value"),
            low=step.get("low"),
            high=step.get("high"),
            rows=step.get("rows"),
            metric=metric,
            rows_are="rows, out of fold",
            candidate=step.get("candidate"),
        )
        for step in summary.get("ladder", [])
    ]
    return {number.id: number for number in found}
