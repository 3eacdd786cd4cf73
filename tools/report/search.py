"""The search: plans and reasons, candidates, decisions, what people said, cost and time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from state.candidate import Candidate
from tools.receipts import baseline_id, number_id
from tools.report.facts import ReportFacts
from tools.report.outcome import best_baseline
from tools.report.sources import Sources
from tools.report.tree import order, tree_svg, why
from tools.report.words import count, decimals, instant, lift, moment, number, seconds, weight

MOST_CANDIDATES = 150
STEPS = (
    ("exploration", "data exploration"),
    ("split", "data split"),
    ("representation", "representation"),
    ("architecture", "architecture"),
    ("training", "training"),
    ("inference", "inference"),
    ("prediction_exploration", "prediction exploration"),
    ("evaluation", "validation evaluation"),
)


def plans(facts: ReportFacts, n: Sources) -> list[dict[str, Any]]:
    """Per iteration: the iteration plan's steps, and its plans with their reasons and what they answer."""
    by_iteration: dict[int, list[Candidate]] = {}
    for candidate in facts.candidates:
        if not candidate.members:
            by_iteration.setdefault(candidate.iteration, []).append(candidate)
    written = {plan.iteration: plan for plan in facts.iteration_plans}
    known = {finding.id: finding.text for finding in facts.findings}
    views = []
    for number_ in sorted(by_iteration.keys() | written.keys()):
        plan = written.get(number_)
        steps = [(title, getattr(plan, name)) for name, title in STEPS if plan and getattr(plan, name)]
        mine = [_plan(candidate, known, n) for candidate in by_iteration.get(number_, [])]
        views.append({"number": number_, "plan": plan, "steps": steps, "plans": mine})
    return views


def _plan(candidate: Candidate, findings: Mapping[str, str], n: Sources) -> dict[str, Any]:
    plan = candidate.plan
    score = candidate.score
    became = n(number_id("oof", candidate.id), number(score.value)) if score else candidate.status
    return {"plan": plan, "became": became, "answers": [findings.get(cited, cited) for cited in plan.cites]}


def candidates(facts: ReportFacts, n: Sources) -> dict[str, Any]:
    """The tree and the table."""
    metric = facts.task.metric
    constant = best_baseline(facts, "constant") or best_baseline(facts)
    rows = [_candidate(candidate, depth, facts, n) for candidate, depth in order(facts.candidates)]
    kept = [row for index, row in enumerate(rows) if index < MOST_CANDIDATES or row["best"]]
    # Names inside are escaped by tree_svg.
    tree = Markup(tree_svg(facts.candidates, facts.best, metric, constant))  # noqa: S704
    return {"tree": tree, "rows": kept, "more": len(rows) - len(kept)}


def _candidate(candidate: Candidate, depth: int, facts: ReportFacts, n: Sources) -> dict[str, Any]:
    score = candidate.score
    constant = best_baseline(facts, "constant")
    removed = lift(facts.task.metric, score.value, constant[1]) if score and constant else None
    return {
        "candidate": candidate,
        "depth": min(depth, 8),
        "best": candidate.id == facts.best,
        "score": n(number_id("oof", candidate.id), number(score.value)) if score else "",
        "interval": f"{number(score.low)} to {number(score.high)}" if score else "",
        "folds": _folds(candidate, n),
        "lift": None if removed is None else f"{100 * removed:.0f} %",
        "seconds": seconds(candidate.seconds),
        "latency": f"{number(candidate.predict_ms, 3)} ms" if candidate.predict_ms else "",
        "size": weight(candidate.model_bytes) if candidate.model_bytes else "",
        "attempts": len(candidate.attempts),
        "members": [(member.candidate, f"{100 * member.weight:.0f} %") for member in candidate.members],
        "reason": why(candidate),
    }


def _folds(candidate: Candidate, n: Sources) -> Markup:
    """The scores of the folds, each with its interval."""
    score = candidate.score
    if score is None:
        return Markup()
    places = score.fold_numbers or range(len(score.folds))
    told = []
    for index, (place, value) in enumerate(zip(places, score.folds, strict=False)):
        ends = score.fold_intervals[index] if index < len(score.fold_intervals) else None
        spread = Markup(" <small>{} to {}</small>").format(number(ends[0], 3), number(ends[1], 3)) if ends else ""
        told.append(Markup("{}{}").format(n(number_id("fold", candidate.id, place + 1), number(value, 3)), spread))
    return Markup("<br>").join(told) if score.fold_intervals else Markup(", ").join(told)


def ladder(facts: ReportFacts, n: Sources) -> list[dict[str, Any]]:
    """Baselines, weakest first, then the released model: value, bar length and what it gains over the rung below."""
    metric = facts.task.metric
    known = [baseline for baseline in facts.baselines if baseline.get("value") is not None]
    rungs = [
        (str(one.get("name", "")), float(one["value"]), str(one.get("note") or ""), one.get("low"), one.get("high"))
        for one in known
    ]
    rungs.sort(key=lambda rung: rung[1], reverse=metric.direction == "lower")
    best = facts.candidate(facts.best)
    if best and best.score:
        told = f"out of fold, {count(best.score.rows)} rows"
        rungs.append((best.plan.title or best.id, best.score.value, told, best.score.low, best.score.high))
    if not rungs:
        return []
    least, most = min(0.0, *(rung[1] for rung in rungs)), max(rung[1] for rung in rungs)
    spread = (most - least) or 1.0
    constant = best_baseline(facts, "constant") or (rungs[0][0], rungs[0][1])
    last = len(rungs) - 1 if best and best.score else -1
    return [
        {
            "name": name,
            "value": n(number_id("oof", facts.best) if index == last else baseline_id(name), number(value)),
            "interval": "" if low is None or high is None else f"{number(low)} to {number(high)}",
            "part": (value - least) / spread,
            "lift": None if name == constant[0] else lift(metric, value, constant[1]),
            "against": constant[0],
            "note": note,
            "model": index == last,
        }
        for index, (name, value, note, low, high) in enumerate(rungs)
    ]


def importance(facts: ReportFacts, most: int = 25) -> dict[str, Any]:
    """The columns that matter, strongest first."""
    ranked = sorted(facts.importance, key=lambda item: -item[1])
    top = max((drop for _, drop, _ in ranked), default=0.0)
    places = min(6, max(0, 2 - math.floor(math.log10(top)))) if top > 0 else 4
    helpful = [item for item in ranked if item[1] > 0]
    bars = [
        {"name": name, "part": drop / top, "drop": decimals(drop, places), "std": decimals(std, places) if std else ""}
        for name, drop, std in helpful[:most]
    ]
    more = max(0, len(helpful) - most)
    return {"bars": bars, "more": more, "useless": len(ranked) - len(helpful), "measured": bool(ranked)}


def costs(facts: ReportFacts) -> dict[str, Any]:
    """Seconds per step of the graph, and tokens and money per role."""
    exchanges = [dict(exchange) for exchange in facts.exchanges]
    total: float | None = 0.0
    for exchange in exchanges:
        cost = exchange.get("cost")
        total = None if cost is None or total is None else total + float(cost)
    return {"phases": _phases(facts), "exchanges": exchanges, "total": total, "asked": any(
        exchange.get("tokens_in") or exchange.get("tokens_out") for exchange in exchanges
    )}  # fmt: skip


def _phases(facts: ReportFacts) -> list[dict[str, Any]]:
    """Wall seconds between the start of one step and the next, summed per role, in order of first appearance."""
    starts = []
    for event in facts.events:
        when = instant(event.get("time"))
        if event.get("kind") == "phase" and when:
            details = event.get("data")
            role = event.get("role") or (details.get("role") if isinstance(details, Mapping) else "") or ""
            starts.append((str(role), when.timestamp()))
    last = max((when.timestamp() for event in facts.events if (when := instant(event.get("time")))), default=0.0)
    spent: dict[str, float] = {}
    for (role, start), (_, end) in zip(starts, [*starts[1:], ("", last)], strict=False):
        spent[role] = spent.get(role, 0.0) + max(0.0, end - start)
    most = max(spent.values(), default=0.0) or 1.0
    return [{"role": role, "seconds": seconds(span), "part": span / most} for role, span in spent.items()]


def answers(facts: ReportFacts) -> list[dict[str, str]]:
    """What people decided, with the time."""
    return [
        {"gate": str(answer.get("gate", "")), "time": moment(answer.get("time")), "text": str(answer.get("text", ""))}
        for answer in facts.answers
    ]
