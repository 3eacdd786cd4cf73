"""The candidate tree as a picture: who came from whom, and beside it each score with its interval on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from statistics import median

from state.candidate import Candidate
from state.task import Metric
from tools.drawing import FIRST, FONT, INK, LINE, MUTED
from tools.report.words import metric_title, number

GOOD = "var(--good, #2b7a4b)"
BAD = "var(--bad, #b42318)"
_ROW, _TOP, _WIDTH = 40, 30, 880
_PLOT = (500.0, 790.0)
MOST_ROWS = 80


def order(candidates: Sequence[Candidate]) -> list[tuple[Candidate, int]]:
    """Candidates with their depth, every child under its parent, siblings in the order they were started."""
    known = {candidate.id for candidate in candidates}
    children: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        parent = candidate.plan.parent
        root = parent is None or parent not in known or parent == candidate.id
        children.setdefault("" if root or parent is None else parent, []).append(candidate)
    rows: list[tuple[Candidate, int]] = []
    stack = [(candidate, 0) for candidate in reversed(children.get("", []))]
    while stack:
        candidate, depth = stack.pop()
        rows.append((candidate, depth))
        stack += [(child, depth + 1) for child in reversed(children.get(candidate.id, []))]
    return rows


def tree_svg(
    candidates: Sequence[Candidate],
    best: str | None,
    metric: Metric,
    baseline: tuple[str, float] | None = None,
    most: int = MOST_ROWS,
) -> str:
    """One SVG element: the tree on the left, values with 95 % intervals on the right, the baseline as a dashed line.

    More than `most` candidates are cut to the first ones and the best, and the cut is said in the picture.
    """
    rows = order(candidates)
    if not rows:
        return ""
    shown = [row for index, row in enumerate(rows) if index < most or row[0].id == best]
    scale = _Scale([candidate for candidate, _ in shown], metric, baseline)
    height = _TOP + len(shown) * _ROW + (24 if len(shown) < len(rows) else 4)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="tree" role="img" aria-label="candidate tree with scores" '
        f'width="{_WIDTH}" viewBox="0 0 {_WIDTH} {height}" {FONT}>'
    ]
    parts += _header(scale, metric, baseline, _TOP + len(shown) * _ROW)
    places: dict[str, tuple[float, float]] = {}
    for index, (candidate, depth) in enumerate(shown):
        x, y = 12 + 22.0 * min(depth, 8), _TOP + index * _ROW + _ROW / 2
        places[candidate.id] = (x, y)
        parent = places.get(candidate.plan.parent or "")
        if parent and depth:
            parts.append(
                f'<path d="M{parent[0]:.0f} {parent[1] + 8:.0f}V{y:.0f}H{x - 8:.0f}" fill="none" stroke="{LINE}"/>'
            )
        parts.append(_row(candidate, x, y, candidate.id == best, scale))
    if len(shown) < len(rows):
        parts.append(_text(12, height - 8, f"… and {len(rows) - len(shown)} more", MUTED, 12))
    return "".join(parts) + "</svg>"


class _Scale:
    """Score → x. A score far outside the others is drawn at the edge, so that it cannot flatten the rest."""

    def __init__(self, candidates: Sequence[Candidate], metric: Metric, baseline: tuple[str, float] | None) -> None:
        scores = [candidate.score for candidate in candidates if candidate.score is not None]
        values = [score.value for score in scores]
        self.empty = not values
        self.folds = max((len(score.folds) for score in scores), default=0)
        top = (max if metric.direction == "higher" else min)(values, default=0.0)
        typical = median(abs(value - top) for value in values) if values else 0.0
        spread = median(score.high - score.low for score in scores) if scores else 0.0
        reach = max(4 * typical, 2 * spread) or abs(top) * 0.1 or 1.0
        points = [edge for score in scores for edge in (score.low, score.high)]
        points += [baseline[1]] if baseline else []
        near = [point for point in points if abs(point - top) <= reach] + [top]
        self.low, self.high = min(near), max(near)
        if self.low == self.high:
            self.low, self.high = self.low - reach / 2, self.high + reach / 2

    def x(self, value: float) -> float:
        left, right = _PLOT
        place = left + (right - left) * (value - self.low) / (self.high - self.low)
        return min(right + 6, max(left - 6, place))

    def inside(self, value: float) -> bool:
        return self.low <= value <= self.high


def _header(scale: _Scale, metric: Metric, baseline: tuple[str, float] | None, bottom: float) -> list[str]:
    if scale.empty:
        return []
    left, right = _PLOT
    better = "right" if metric.direction == "higher" else "left"
    parts = [
        _text(left, 11, f"{metric_title(metric)}, better to the {better}", MUTED, 11),
        _text(left, 25, number(scale.low, 3), MUTED, 10),
        _text(right, 25, number(scale.high, 3), MUTED, 10, "end"),
        f'<path d="M{left} {_TOP}V{bottom:.0f}M{right} {_TOP}V{bottom:.0f}" stroke="{LINE}" stroke-width=".6"/>',
    ]
    if baseline and scale.inside(baseline[1]):
        x = scale.x(baseline[1])
        parts.append(f'<path d="M{x:.1f} {_TOP}V{bottom:.0f}" stroke="{MUTED}" stroke-dasharray="3 3"/>')
        if left + 40 < x < right - 40:
            parts.append(_text(x, 25, baseline[0], MUTED, 10, "middle"))
    return parts


def _row(candidate: Candidate, x: float, y: float, best: bool, scale: _Scale) -> str:
    room = int((_PLOT[0] - 40 - x) / 7.2)
    title = candidate.plan.title or candidate.id
    weight = ' font-weight="600"' if best else ""
    ink = INK if candidate.status in ("done", "running", "planned") else MUTED
    parts = [
        f"<g><title>{escape(f'{title} ({candidate.id})')}</title>",
        _mark(candidate.status, x, y, best),
        f'<text x="{x + 14:.0f}" y="{y - 2:.1f}" font-size="13" fill="{ink}"{weight}>{escape(_cut(title, room - 4 * best))}</text>',
        _text(x + 14, y + 12, _cut(_subtitle(candidate, best, scale.folds), room + 8), GOOD if best else MUTED, 11),
    ]
    if candidate.score is not None:
        colour, score = (GOOD if best else FIRST), candidate.score
        a, b, at = scale.x(score.low), scale.x(score.high), scale.x(score.value)
        parts.append(f'<path d="M{a:.1f} {y:.1f}H{b:.1f}" stroke="{colour}" stroke-width="2" stroke-opacity=".55"/>')
        if scale.inside(score.value):
            parts.append(f'<circle cx="{at:.1f}" cy="{y:.1f}" r="{5 if best else 4}" fill="{colour}"/>')
        else:
            tip = -6 if score.value < scale.low else 6
            parts.append(f'<path d="M{at + tip / 2:.1f} {y:.1f}l{-tip} -4v8z" fill="{colour}"/>')
        parts.append(
            f'<text x="{_WIDTH - 6}" y="{y + 4:.1f}" font-size="13" text-anchor="end" fill="{ink}"{weight} '
            f'style="font-variant-numeric:tabular-nums">{number(score.value)}</text>'
        )
    return "".join(parts) + "</g>"


def why(candidate: Candidate) -> str:
    """What a candidate ended with: the reason, or the last attempt's outcome and the last line of its error."""
    last = candidate.attempts[-1] if candidate.attempts else None
    lines = last.error.strip().splitlines() if last else []
    reason = candidate.reason.strip() or (lines[-1].strip() if lines else "")
    if last is None or last.outcome in ("done", "error") or last.outcome in reason:
        return reason
    return f"{last.outcome}: {reason}" if reason else last.outcome


def _subtitle(candidate: Candidate, best: bool, folds: int) -> str:
    if len(candidate.members) == 1:
        says = f"{candidate.members[0].candidate}, its decision tuned"
    elif candidate.members:
        says = "blend of " + ", ".join(member.candidate for member in candidate.members)
    elif candidate.status in ("failed", "dropped"):
        reason = why(candidate)
        says = f"{candidate.status}: {reason}" if reason else candidate.status
    elif candidate.status == "done":
        says = f"{candidate.id} · {candidate.plan.operator}"
        if candidate.score and len(candidate.score.folds) < folds:
            says += f" · only {len(candidate.score.folds)} of {folds} folds"
    else:
        says = f"{candidate.id} · {candidate.status}"
    return f"best · {says}" if best else says


def _mark(status: str, x: float, y: float, best: bool) -> str:
    if status == "failed":
        return f'<path d="M{x - 4} {y - 4}l8 8m0 -8l-8 8" stroke="{BAD}" stroke-width="2" fill="none"/>'
    if status == "done":
        return f'<circle cx="{x}" cy="{y}" r="{6 if best else 5}" fill="{GOOD if best else FIRST}"/>'
    dash = "" if status == "dropped" else ' stroke-dasharray="3 2"'
    return f'<circle cx="{x}" cy="{y}" r="4.5" fill="none" stroke="{MUTED}" stroke-width="1.5"{dash}/>'


def _text(x: float, y: float, words: str, colour: str, size: int, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{escape(words)}</text>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(1, most - 1)] + "…"
