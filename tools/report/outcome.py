"""The verdict box: what came out, how good it is, and whether it is safe to use."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from state.candidate import Candidate, Score, Verdict
from tools.receipts import baseline_id, number_id
from tools.report.facts import ReportFacts
from tools.report.marks import score_scale
from tools.report.sources import Sources
from tools.report.words import count, lift, metric_title, number, seconds, share


def outcome(facts: ReportFacts, n: Sources) -> dict[str, Any]:
    """What the template's first section needs."""
    best = facts.candidate(facts.best)
    score, rows_are = headline_score(facts, best)
    limits = _limits(facts, best)
    return {
        "state": _state(facts),
        "best": best,
        "made_of": _made_of(facts, best),
        "score": score,
        "score_id": _score_id(facts, best),
        "rows_are": rows_are,
        "metric": metric_title(facts.task.metric),
        "tiles": _tiles(facts, best, score, n),
        "scale": _scale(facts, best),
        "safe": _safe(facts, limits),
        "limits": limits,
        "no_model": best is None or best.score is None,
    }


def headline_score(facts: ReportFacts, best: Candidate | None) -> tuple[Score | None, str]:
    """The sealed test score when there is one, else the out-of-fold score; and which rows it belongs to."""
    if facts.verdict and facts.verdict.test:
        return facts.verdict.test, "sealed test rows, opened once by this run"
    if best and best.score:
        return best.score, "rows, out of fold (the sealed test set was not opened)"
    return None, ""


def _score_id(facts: ReportFacts, best: Candidate | None) -> str:
    """The id of the headline score."""
    if facts.verdict and facts.verdict.test:
        return number_id("test", facts.task.metric.name)
    return number_id("oof", best.id) if best else ""


def best_baseline(facts: ReportFacts, name: str = "") -> tuple[str, float] | None:
    """The strongest baseline, or the one of this name."""
    found: tuple[str, float] | None = None
    for baseline in facts.baselines:
        value = baseline.get("value")
        if value is None or (name and str(baseline.get("name", "")) != name):
            continue
        if found is None or facts.task.metric.better(float(value), found[1]):
            found = (str(baseline.get("name", "baseline")), float(value))
    return found


def _state(facts: ReportFacts) -> dict[str, str]:
    """The pill: a word, its colour, and one sentence."""
    verdict, status = facts.verdict, str(facts.run.get("status", ""))
    if facts.release_folder:
        return {"word": "released", "colour": "good", "text": verdict.reason if verdict else ""}
    if verdict and verdict.decision == "accept":
        refused = [answer for answer in facts.answers if answer.get("gate") == "release"]
        told = f"A person decided: {refused[-1].get('text', '')}" if refused else "No release folder was written."
        return {"word": "accepted, not released", "colour": "warn", "text": told}
    if verdict:
        word = "rejected" if verdict.decision == "reject" else f"sent back: {verdict.decision}"
        return {"word": word, "colour": "bad", "text": verdict.reason}
    if facts.best is None:
        return {
            "word": "no model",
            "colour": "bad",
            "text": "No candidate survived. The table below says why each ended.",
        }
    return {"word": status or "not reviewed", "colour": "warn", "text": "The run ended before a review."}


def _made_of(facts: ReportFacts, best: Candidate | None) -> str:
    if best is None:
        return ""
    if not best.members:
        return best.plan.title or best.id
    made = best.plan.title or "Ensemble"
    if len(best.members) > 1:
        made += f", a {best.combination.words} of {len(best.members)} models"
    return f"{made}. Decision: {best.combination.source}" if best.combination.source else made


def _tiles(facts: ReportFacts, best: Candidate | None, score: Score | None, n: Sources) -> list[dict[str, Any]]:
    """A few small facts beside the score."""
    tiles = []
    if best and best.score and facts.verdict and facts.verdict.test:
        oof = best.score
        linked = n(number_id("oof", best.id), number(oof.value))
        tiles.append(_tile("out of fold", linked, f"95 % {number(oof.low)} to {number(oof.high)}"))
    strongest = best_baseline(facts)
    if strongest:
        tiles.append(_tile("best baseline", n(baseline_id(strongest[0]), number(strongest[1])), strongest[0]))
    constant = best_baseline(facts, "constant") or best_baseline(facts)
    if constant and score:
        removed = lift(facts.task.metric, score.value, constant[1])
        if removed is not None:
            word = "error removed" if removed >= 0 else "error added"
            tiles.append(_tile(word, n("lift", share(abs(removed))), f"compared with {constant[0]}"))
    used = sum(1 for candidate in facts.candidates if candidate.usable)
    told = f"{used} of {len(facts.candidates)} candidates scored"
    tiles.append(_tile("time", seconds(facts.run.get("seconds")), told))
    return tiles


def _tile(name: str, value: str, note: str) -> dict[str, Any]:
    return {"name": name, "value": value, "note": note}


def _scale(facts: ReportFacts, best: Candidate | None) -> Markup:
    """Baselines, out-of-fold and test score on one scale: the whole story in one look."""
    marks: list[tuple[str, float, float | None, float | None, str]] = []
    if facts.verdict and facts.verdict.test:
        test = facts.verdict.test
        marks.append(("sealed test", test.value, test.low, test.high, "second"))
    if best and best.score:
        marks.append(("out of fold", best.score.value, best.score.low, best.score.high, "first"))
    known = [baseline for baseline in facts.baselines if baseline.get("value") is not None]
    marks += [
        (f"{one.get('name')} baseline", float(one["value"]), one.get("low"), one.get("high"), "muted") for one in known
    ]
    return score_scale(marks, facts.task.metric.direction == "higher") if len(marks) > 1 else Markup()


def _safe(facts: ReportFacts, limits: list[str]) -> dict[str, str]:
    """The answer to "can I use it?" in one sentence."""
    verdict = facts.verdict
    if facts.best is None:
        return {"word": "No.", "colour": "bad", "text": "There is no model to use."}
    if verdict is None:
        return {"word": "Not yet.", "colour": "warn", "text": "Nobody has reviewed it: its score is out of fold only."}
    if verdict.decision != "accept":
        return {"word": "No.", "colour": "bad", "text": f"The review ended with “{verdict.decision}”: {verdict.reason}"}
    if limits:
        return {"word": "Yes, with care.", "colour": "warn", "text": f"{_checked(verdict)} Keep in mind:"}
    text = f"{_checked(verdict)} It is meant for rows like the ones it was built from; watch for data that drifts away."
    return {"word": "Yes.", "colour": "good", "text": text}


def _checked(verdict: Verdict) -> str:
    """How many checks it passed, and which could not be made: a skipped check is no passed check."""
    passed = sum(check.status == "passed" for check in verdict.checks)
    skipped = [check for check in verdict.checks if check.status == "skipped"]
    told = f"It passed {passed} check{'' if passed == 1 else 's'}."
    if skipped:
        reasons = [f"{check.name} ({check.detail})" if check.detail else check.name for check in skipped]
        told += f" Not made: {'; '.join(reasons)}."
    return told


def _limits(facts: ReportFacts, best: Candidate | None) -> list[str]:
    """What speaks against trusting the score or the model without a second look."""
    says: list[str] = []
    verdict = facts.verdict
    score, _ = headline_score(facts, best)
    strongest = best_baseline(facts)
    if best and best.score and len(best.score.folds) < facts.task.split.folds and best.score.folds:
        done, folds = len(best.score.folds), facts.task.split.folds
        says.append(f"Its out-of-fold score rests on {done} of {folds} folds ({count(best.score.rows)} rows).")
    if score and strongest and not facts.task.metric.better(score.value, strongest[1]):
        says.append(f"It is not better than the {strongest[0]} baseline ({number(strongest[1])}).")
    if verdict and verdict.test and best and best.score:
        test = verdict.test
        if _below(facts, test, best.score):
            says.append(
                f"The test score ({number(test.value)}) is worse than the out-of-fold score "
                f"({number(best.score.value)}) by more than chance explains."
            )
        if test.rows < 100:
            says.append(f"The test set has only {count(test.rows)} rows, so the interval is wide.")
    earlier = (verdict.opening or {}).get("earlier") if verdict else None
    if earlier:
        times = f"{len(earlier)} earlier run{'s' if len(earlier) > 1 else ''}" if isinstance(earlier, list) else earlier
        says.append(f"These test rows were opened before by {times}; choosing between runs by test score is a bias.")
    if verdict:
        doubtful = [check for check in verdict.checks if check.status in ("found", "reduced")]
        says += [f"{check.name}: {check.detail or check.status}" for check in doubtful]
        says += [finding.text for finding in verdict.findings if finding.severity != "info"]
    return [*dict.fromkeys([*says, *facts.cautions])]


def _below(facts: ReportFacts, test: Score, whole: Score) -> bool:
    """Whether the test score is worse than its expectation allows; without one, than the out-of-fold score does."""
    metric = facts.task.metric
    one = facts.numbers.get(number_id("expected", metric.name))
    if one is not None and one.low is not None and one.high is not None:
        return metric.better(one.low if metric.direction == "higher" else one.high, test.value)
    return metric.better(whole.value, test.value) and not test.low <= whole.value <= test.high
