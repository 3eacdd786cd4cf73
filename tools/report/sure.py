"""How sure the numbers are: one sentence each on intervals, expectation, luck in choosing, calibration and segments."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from tools import calibration
from tools.receipts import number_id
from tools.report.facts import ReportFacts
from tools.report.sources import Sources
from tools.report.words import cut, number, share
from tools.units import drawn

_ROWS = {"oof": "rows, out of fold,", "test": "sealed test rows"}


def sure(facts: ReportFacts, n: Sources) -> list[tuple[str, Markup]]:
    """Title and sentence of each point that this run can make."""
    points = [
        ("Intervals", _intervals(facts)),
        ("Expected and found", _expected(facts, n)),
        ("Luck in choosing", _luck(facts, n)),
        ("Against the next best", _next_best(facts, n)),
        ("Calibration", _calibration(facts, n)),
        ("Parts of the data", _segments(facts, n)),
    ]
    return [(title, said) for title, said in points if said]


def _intervals(facts: ReportFacts) -> Markup:
    if not any(one.score for one in facts.candidates):
        return Markup()
    return Markup(
        "Every score has a 95 % interval, made by drawing {} with replacement and scoring each draw: intervals made so "
        "hold the score that endless data would give in about 95 of 100 cases, and in fewer where fewer than a dozen "
        "groups or blocks could be drawn."
    ).format(drawn(facts.task))


def _expected(facts: ReportFacts, n: Sources) -> Markup:
    """What was expected of the sealed test before it was opened, and what it gave."""
    name = number_id("expected", facts.task.metric.name)
    one, test = facts.numbers.get(name), facts.verdict.test if facts.verdict else None
    if one is None or one.low is None or one.high is None:
        return Markup()
    told = Markup("Before the sealed test was opened, a score between {} and {} was expected of it").format(
        n(name, number(one.low)), n(name, number(one.high))
    )
    if test is None:
        return told + "; it was not opened."
    metric = facts.task.metric
    if one.low <= test.value <= one.high:
        judged = "as expected"
    else:
        end = one.low if test.value < one.low else one.high
        judged = "better than expected" if metric.better(test.value, end) else "worse than expected"
    return told + Markup("; it came out at {}, {}.").format(
        n(number_id("test", metric.name), number(test.value)), judged
    )


def _luck(facts: ReportFacts, n: Sources) -> Markup:
    """The expected optimism of the choice."""
    luck, corrected = facts.numbers.get("optimism"), facts.numbers.get(number_id("corrected", facts.task.metric.name))
    if luck is None or corrected is None or luck.value is None:
        return Markup()
    among = luck.facts.get("candidates", 0)
    if among < 2:
        return Markup(
            "One candidate alone was scored on all rows, so there was no choice that could have flattered it."
        )
    told = Markup(
        "Taking the best of {} fully scored candidates flatters its out-of-fold score by about {} on average; without that luck it "
        "is {} ({} to {})"
    ).format(
        among,
        n(luck.id, number(luck.value, 2)),
        n(corrected.id, number(corrected.value)),
        number(corrected.low),
        number(corrected.high),
    )
    switched = luck.facts.get("switched")
    return told + (f"; on {share(switched)} of the draws another one would have been chosen." if switched else ".")


def _next_best(facts: ReportFacts, n: Sources) -> Markup:
    """The paired comparison of the chosen one with the strongest other."""
    pairs = [pair for one in facts.decisions[-1:] for pair in one.compared if pair.get("one") == facts.best]
    pairs = [pair for pair in pairs if pair.get("gain") is not None and pair.get("low") is not None]
    if not pairs:
        return Markup()
    pair = min(pairs, key=lambda one: float(one["gain"]))
    word = "better" if pair["gain"] >= 0 else "worse"
    told = Markup("On the same rows {} is {} by {} than {} (95 % interval of the gain {} to {}): ").format(
        pair["one"],
        word,
        n(number_id("gain", pair["one"], pair["other"]), number(abs(pair["gain"]), 2)),
        pair["other"],
        number(pair["low"], 2),
        number(pair["high"], 2),
    )
    return told + ("more than luck explains." if pair["low"] > 0 else "that may be luck.")


def _calibration(facts: ReportFacts, n: Sources) -> Markup:
    if not facts.calibrations:
        return Markup()
    short, one = facts.calibrations[0]
    said = calibration.sentence(one, _ROWS[short])
    error = f"{100 * one.error:.1f} percentage points"
    before, _, after = said.partition(error)
    return Markup("{}{}{}").format(before, n(number_id("calibration", short, "error"), error), after)


def _segments(facts: ReportFacts, n: Sources) -> Markup:
    if not facts.segments:
        return Markup()
    worse = [one for one in facts.segments if one.worse]
    if not worse:
        return Markup(
            "None of {} parts of the data is worse than the whole by more than luck among so many explains."
        ).format(len(facts.segments))
    named = Markup(", ").join(
        Markup("{} ({})").format(cut(one.name, 60), n(number_id("segment", one.name), number(one.score)))
        for one in worse[:4]
    )
    more = f" and {len(worse) - 4} more" if len(worse) > 4 else ""
    return Markup("{} of {} parts of the data {} worse than the whole beyond luck: {}{}.").format(
        len(worse), len(facts.segments), "is" if len(worse) == 1 else "are", named, more
    )


def segment_table(facts: ReportFacts, most: int = 12) -> dict[str, Any]:
    """Segments for the table: the worse ones and the lowest first, the others to unfold."""
    metric = facts.task.metric
    ranked = sorted(facts.segments, key=lambda one: (not one.worse, metric.gain(one.score, 0.0)))
    return {"first": ranked[:most], "rest": ranked[most:], "worse": sum(one.worse for one in ranked)}
