"""The builtin expert's opinion on a finished model: rules over scores, baselines, checks and the profile."""

from __future__ import annotations

from typing import Any

from state.profile import Profile
from state.questions import Review
from state.task import Task


def opinion(task: Task, profile: Profile, facts: dict[str, Any]) -> Review:
    """A summary in two or three sentences, and what speaks against the model. Facts that are absent are passed over."""
    score = facts.get("score") or {}
    value, low, high = (score.get(name) for name in ("value", "low", "high"))
    concerns = [*_checks(facts), *_findings(facts), *_size(task, profile, low, high, value)]
    summary = [
        f"{facts.get('candidate') or 'The model'} reaches {task.metric.name} {_number(value)} on out-of-fold rows"
    ]
    if low is not None and high is not None:
        summary[0] += f" (95 % interval {_number(low)} to {_number(high)})"
    lift, worry = _against_baselines(task, facts, value)
    summary += [lift] if lift else []
    concerns = [*worry, *concerns]
    if int(facts.get("members") or 0) > 1:
        summary.append(f"it is a weighted mean of {facts['members']} candidates")
    outlook = f"{len(concerns)} concern{'s' * (len(concerns) != 1)}" if concerns else "nothing speaks against it"
    return Review(summary=f"{'; '.join(summary)}; {outlook}.", concerns=concerns)


def _number(value: Any) -> str:
    return "unknown" if value is None else f"{float(value):.4g}"


def _against_baselines(task: Task, facts: dict[str, Any], value: float | None) -> tuple[str, list[str]]:
    """The strongest baseline beaten, and each baseline that is not."""
    beaten, worries = "", []
    for rung in facts.get("baselines") or []:
        name, other = rung.get("name") or rung.get("title"), rung.get("score", rung.get("value"))
        other = other.get("value") if isinstance(other, dict) else other
        if name is None or other is None or value is None:
            continue
        if task.metric.better(value, float(other)):
            beaten = f"better than the {name} baseline ({_number(other)})"
        else:
            worries.append(f"the {name} baseline is as good: {task.metric.name} {_number(other)}")
    return beaten, worries


def _checks(facts: dict[str, Any]) -> list[str]:
    words = {"found": "found something", "reduced": "could only be done in part"}
    return [
        f"the check {check.get('name')!r} {words[check['status']]}: {check.get('detail') or 'see the report'}"
        for check in facts.get("checks") or []
        if check.get("status") in words
    ]


def _findings(facts: dict[str, Any]) -> list[str]:
    return [
        str(finding["text"])
        for finding in facts.get("findings") or []
        if finding.get("text") and (finding.get("severity") == "error" or finding.get("topic") == "leak")
    ]


def _size(task: Task, profile: Profile, low: float | None, high: float | None, value: float | None) -> list[str]:
    concerns = []
    if profile.rows < 300:
        concerns.append(f"{profile.rows} rows are few: the score may be quite different on new data")
    if task.is_classification and profile.target.counts:
        label, count = min(profile.target.counts.items(), key=lambda item: item[1])
        if count < 30:
            concerns.append(f"class {label!r} has {count} rows; what the model says about it rests on little")
    if None not in (low, high, value) and value and abs((high or 0.0) - (low or 0.0)) > 0.3 * abs(value):
        concerns.append(f"the interval from {_number(low)} to {_number(high)} is wide")
    suspects = [
        column.name
        for column in profile.columns
        if column.suspicion in ("encodes the target", "nearly predicts the target alone")
    ]
    used = {feature.name for feature in task.features}
    if named := [name for name in suspects if name in used]:
        concerns.append(f"{', '.join(map(repr, named))} nearly tells the target alone; is it known when predicting?")
    return concerns
