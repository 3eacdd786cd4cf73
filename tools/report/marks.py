"""Small drawings inside text and tables: histograms, shares, and a score on its scale. Plain SVG with the page's colours."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from tools.report.words import number


def spark(counts: Sequence[float], title: str, *, gaps: bool = False) -> Markup:
    """A histogram of 90 × 22 px. `gaps` separates the bars, for categories."""
    counts = [max(0.0, float(value)) for value in counts if value == value]
    top = max(counts, default=0.0)
    if top <= 0:
        return Markup()
    step = 90 / len(counts)
    width = min(step, 18) - (1.5 if gaps else 0.4)
    bars = "".join(
        f"M{index * min(step, 18):.1f} 22v-{max(0.8, 21 * value / top):.1f}h{width:.1f}V22z"
        for index, value in enumerate(counts)
        if value > 0
    )
    return Markup(
        '<svg class="spark" width="90" height="22" viewBox="0 0 90 22" role="img" aria-label="{title}">'
        '<title>{title}</title><path d="{bars}" fill="var(--first)" fill-opacity="{shade}"/></svg>'
    ).format(title=title, bars=bars, shade=".55" if gaps else ".75")


def score_scale(marks: Sequence[tuple[str, float, float | None, float | None, str]], higher: bool) -> Markup:
    """Scores on one line each over a shared scale: (name, value, low, high, colour variable). Better is named."""
    marks = [mark for mark in marks if mark[1] is not None]
    if not marks:
        return Markup()
    points = [edge for _, value, low, high, _ in marks for edge in (value, low, high) if edge is not None]
    least, most = min(points), max(points)
    air = 0.06 * (most - least) or abs(most) * 0.05 or 1.0
    least, most = least - air, most + air
    left, right, row = 190, 620, 28

    def x(value: float) -> float:
        return left + (right - left) * (value - least) / (most - least)

    parts = []
    for index, (name, value, low, high, colour) in enumerate(marks):
        y = 20 + index * row
        parts.append(f'<path d="M{left} {y}H{right}" stroke="var(--line)"/>')
        parts.append(Markup('<text x="0" y="{}" class="mark-name">{}</text>').format(y + 4, name))
        if low is not None and high is not None:
            parts.append(
                f'<path d="M{x(low):.1f} {y}H{x(high):.1f}" stroke="var(--{colour})" stroke-width="6" '
                'stroke-opacity=".3" stroke-linecap="round"/>'
            )
        parts.append(f'<circle cx="{x(value):.1f}" cy="{y}" r="5" fill="var(--{colour})"/>')
        parts.append(
            Markup('<text x="{}" y="{}" class="mark-value">{}</text>').format(right + 16, y + 4, number(value))
        )
    foot = 20 + len(marks) * row
    says = "better →" if higher else "← better"
    anchor, at = ("end", right) if higher else ("start", left)
    parts.append(f'<text x="{at}" y="{foot}" text-anchor="{anchor}" class="mark-foot">{says}</text>')
    body = Markup("").join(Markup(part) if not isinstance(part, Markup) else part for part in parts)  # noqa: S704
    return Markup('<svg class="scale" viewBox="0 0 720 {height}" role="img" aria-label="{label}">{body}</svg>').format(
        height=foot + 8,
        label="; ".join(f"{escape(name)} {number(value)}" for name, value, *_ in marks),
        body=body,
    )


def meter(part: float, colour: str = "first") -> Markup:
    """A bar that fills `part` (0–1) of its cell."""
    width = 100 * min(1.0, max(0.0, part))
    return Markup('<span class="meter"><i style="width:{:.1f}%;background:var(--{})"></i></span>').format(width, colour)
