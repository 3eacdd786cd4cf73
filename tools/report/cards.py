"""What objects show in a notebook: small HTML without script, style sheet or network, at home in light and dark themes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from state.candidate import Candidate
from state.task import Metric
from tools.report.tree import tree_svg
from tools.report.words import cut, metric_title, number, seconds, share

# A notebook's theme does not follow the system's, and untrusted notebooks lose style sheets: so everything is inline and
# derived from the colour of the text around it.
_ROOT = (
    "--ink:currentColor;--muted:color-mix(in srgb,currentColor 62%,transparent);"
    "--line:color-mix(in srgb,currentColor 18%,transparent);--first:#4a80e4;--good:#2f9d63;--bad:#d9574c;--second:#d07a2d;"
    "font:14px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif;max-width:900px"
)
_MUTED = "color:color-mix(in srgb,currentColor 62%,transparent)"
_CELL = "padding:.25rem .7rem;border-bottom:1px solid color-mix(in srgb,currentColor 14%,transparent)"
_ONE_LINE = ";white-space:nowrap"
_COLOURS = {"done": "#2f9d63", "released": "#2f9d63", "failed": "#d9574c", "rejected": "#d9574c"}
MOST_ROWS = 12


def run_card(facts: Mapping[str, Any], candidates: Sequence[Candidate]) -> str:
    """The card of one run: status, score, tree, where report and model lie.

    facts: what `Run.describe()` gives: {name, id, status, target, metric, direction, score, low, high, test, best,
    ladder, seconds, folder, report, …}; whatever is missing is left out.
    """
    metric = _metric(facts)
    parts = [_head(facts), _score(facts, metric)]
    if candidates:
        ladder = [step for step in facts.get("ladder") or [] if step.get("value") is not None]
        baseline = (str(ladder[0].get("name", "baseline")), float(ladder[0]["value"])) if ladder else None
        tree = tree_svg(candidates, facts.get("best"), metric, baseline, most=MOST_ROWS)
        # tree_svg escapes every name it writes.
        parts.append(Markup('<div style="overflow-x:auto;margin:.5rem 0">{}</div>').format(Markup(tree)))  # noqa: S704
    parts.append(_links(facts))
    return _box(parts)


def leaderboard_card(candidates: Sequence[Candidate], best: str | None, metric: Metric) -> str:
    """The candidate table, best first, those without a score last."""
    ranked = sorted(
        candidates,
        key=lambda one: (
            one.score is None,
            (one.score.value if metric.direction == "lower" else -one.score.value) if one.score else 0.0,
        ),
    )
    head = Markup("").join(
        Markup('<th style="{}">{}</th>').format(f"{_CELL};text-align:{side};{_MUTED};font-weight:400{_ONE_LINE}", name)
        for name, side in (
            ("candidate", "left"), (metric_title(metric), "right"), ("95 % interval", "right"), ("time", "right"), ("status", "left"),
        )
    )  # fmt: skip
    rows = Markup("").join(_line(candidate, candidate.id == best) for candidate in ranked)
    table = Markup(
        '<table style="border-collapse:collapse;color:inherit;font:inherit"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>'
    )
    return _box([table.format(head, rows)])


def _box(parts: Sequence[Markup]) -> str:
    return str(Markup('<div style="{}">{}</div>').format(_ROOT, Markup("").join(parts)))


def _metric(facts: Mapping[str, Any]) -> Metric:
    direction = "lower" if facts.get("direction") == "lower" else "higher"
    return Metric(name=str(facts.get("metric") or "score"), direction=direction, needs="values")


def _head(facts: Mapping[str, Any]) -> Markup:
    status = str(facts.get("status") or "")
    about = " · ".join(str(facts[key]) for key in ("target", "data") if facts.get(key))
    return Markup(
        '<div><b>{}</b> <span style="{}">{}</span> '
        '<span style="color:{};border:1px solid;border-radius:9px;padding:0 .5rem;font-size:12px">{}</span> '
        '<span style="{}">{}</span></div>'
    ).format(
        cut(facts.get("name") or "run", 40), _MUTED, str(facts.get("id") or "")[:8],
        _COLOURS.get(status, "#b5811f"), status, _MUTED, cut(about, 70),
    )  # fmt: skip


def _score(facts: Mapping[str, Any], metric: Metric) -> Markup:
    test = facts.get("test")
    score = (
        test
        if isinstance(test, Mapping)
        else {"value": facts.get("score"), **{k: facts.get(k) for k in ("low", "high")}}
    )
    if score.get("value") is None:
        return Markup('<div style="{}">no score yet</div>').format(_MUTED)
    rows_are = "sealed test" if isinstance(test, Mapping) else "out of fold"
    more = [rows_are]
    if score.get("low") is not None:
        more.insert(0, f"{number(score['low'])} to {number(score['high'])}")
    more += [
        f"{step.get('name')} {number(step['value'])}"
        for step in facts.get("ladder") or []
        if step.get("value") is not None
    ]
    if facts.get("seconds"):
        more.append(seconds(facts["seconds"]))
    return Markup(
        '<div><span style="font-size:24px;font-weight:650">{}</span> {} <span style="{}">{}</span></div>'
    ).format(number(score["value"]), metric_title(metric), _MUTED, " · ".join(more))


def _links(facts: Mapping[str, Any]) -> Markup:
    places = [("report", facts.get("report")), ("model", facts.get("folder"))]
    return Markup("").join(
        Markup(
            '<div><span style="{};display:inline-block;width:4rem">{}</span><a href="{}" style="color:var(--first)">{}</a></div>'
        ).format(_MUTED, name, Path(place).absolute().as_uri(), place)
        for name, place in places
        if place
    )


def _line(candidate: Candidate, best: bool) -> Markup:
    score = candidate.score
    name = Markup('{}<br><span style="{};font-size:12px">{}</span>').format(
        cut(candidate.plan.title or candidate.id, 60), _MUTED, candidate.id
    )
    if candidate.members:
        blend = ", ".join(f"{share(member.weight)} {member.candidate}" for member in candidate.members)
        name += Markup('<span style="{};font-size:12px"> · {}</span>').format(_MUTED, blend)
    says = f"{candidate.status}: {candidate.reason}" if candidate.reason else candidate.status
    cells = (
        (name, "left"),
        (number(score.value) if score else "–", "right"),
        (f"{number(score.low)} to {number(score.high)}" if score else "", "right"),
        (seconds(candidate.seconds), "right"),
        ("best" if best else cut(says, 60), "left"),
    )
    weight = "font-weight:600" if best else "font-weight:400"
    return Markup("<tr>{}</tr>").format(
        Markup("").join(
            Markup('<td style="{}">{}</td>').format(
                f"{_CELL};text-align:{side};{weight}{_ONE_LINE * (side == 'right')}", escape(text)
            )
            for text, side in cells
        )
    )
