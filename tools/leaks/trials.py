"""The checks that run programs, in order of what they are worth for what they cost, within the time the review has.

Cheapest first: fitted models predict a few rows in other company (no fit). Then the fit without the other validation rows,
which shows in one job that a program repeats itself and that it uses no row it is judged on. Then the canary.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from state.candidate import Candidate, Check, Finding
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.blocking import together
from tools.costs import refit_seconds
from tools.decisions import time_left
from tools.leaks import canary, others
from tools.leaks.jobs import START
from tools.leaks.sides import Result, skipped
from tools.reproducing import NAME as REPRODUCIBLE
from tools.reproducing import check_reproducible
from tools.subsample import as_trained
from tools.training import final_fit_seconds
from tools.workbench import Workbench

PUBLISHING = 3.0
"""Seconds that sealed test, release and report take beside the last fits."""
SHARE = 0.08
"""Share of the limit that checks with jobs may take, …"""
MOST_SECONDS = 120.0
"""… and no more than this however long it is."""


async def run_trials(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    chosen: Sequence[tuple[Candidate, float]],
    members: Sequence[ReleaseMember],
    *,
    full: bool = False,
) -> tuple[list[Check], list[Finding]]:
    """Check the chosen programs; the one most in need of it when the time does not allow all.

    chosen: the released candidates with their weights; members: the same, fitted. full: all of them, on all rows,
    whatever it costs. Every check is there in the result, a skipped one with the reason.
    """
    heads = _in_order(chosen)
    spare = _spare(desk, chosen)
    if not full:
        heads = [most_in_need(heads, spare)]
    fitted = {member.candidate: member for member in members}
    until = time.monotonic() + review_seconds(desk, chosen)
    results: list[Result] = []
    for candidate in heads:
        seen = as_trained(desk, prepared, candidate.plan.rows)
        results += await _of_one(desk, task, seen, candidate, fitted.get(candidate.id), until, spare, full=full)
    checks = _merged([check for check, _ in results]) if len(heads) > 1 else [check for check, _ in results]
    return checks, [finding for _, findings in results for finding in findings]


def review_seconds(desk: Workbench, chosen: Sequence[tuple[Candidate, float]]) -> float:
    """Seconds the checks with jobs may take: a small share of the limit, without what publishing still needs."""
    return max(
        0.0, min(SHARE * desk.budget.total, MOST_SECONDS, _spare(desk, chosen) - desk.budget.closing + PUBLISHING)
    )


def _spare(desk: Workbench, chosen: Sequence[tuple[Candidate, float]]) -> float:
    """Seconds that were left when the review began, without what the last fits and publishing still need."""
    later = final_fit_seconds(desk, [refit_seconds(one) for one, _ in chosen]) if desk.settings.refit == "all" else 0.0
    return _left(desk, chosen[0][0]) - PUBLISHING - later


def _in_order(chosen: Sequence[tuple[Candidate, float]]) -> list[Candidate]:
    """Programs that a model or a person wrote before those of recipes, then by weight."""
    return [one for one, _ in sorted(chosen, key=lambda pair: (pair[0].expert == "builtin", -pair[1]))]


def most_in_need(heads: list[Candidate], spare: float) -> Candidate:
    """The first of them, or where there is no time to fit it again the next one that a model wrote as it did, or a recipe."""
    alike = [one for one in heads if (one.expert == "builtin") == (heads[0].expert == "builtin")]
    return next((one for one in alike if _repeating(one) <= spare), heads[0])


def _repeating(candidate: Candidate) -> float:
    """Seconds of fitting the first fold again with the settings it found."""
    return refit_seconds(candidate) + START


async def _of_one(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    candidate: Candidate,
    member: ReleaseMember | None,
    until: float,
    spare: float,
    *,
    full: bool,
) -> list[Result]:
    def left() -> float:
        return until - time.monotonic()

    async def neighbours() -> Result:
        if member is None:
            return skipped(others.TOGETHER, "there is no fitted model")
        if not full and left() < 2 * START:
            return skipped(others.TOGETHER, "no time left")
        return await others.check_together(desk, task, prepared, member, full=full)

    async def shuffled() -> Result:
        # With a single slot its turn comes after the refit; with more it runs beside it.
        seconds = left() - (candidate.fit_seconds + START if desk.slots == 1 else 0.0)
        return await canary.check_canary(desk, task, prepared, candidate, seconds=seconds, full=full)

    first, (second, reproducible), third = await together(
        neighbours(), _refit(desk, task, prepared, candidate, max(left(), spare), full=full), shuffled()
    )
    return [first, second, (reproducible, []), third]


async def _refit(
    desk: Workbench, task: Task, prepared: Prepared, candidate: Candidate, seconds: float, *, full: bool
) -> tuple[Result, Check]:
    """The refit comparison; the plain repetition only where that leaves a question.

    seconds: all that can be spared, since this also tells whether the program repeats itself, which matters most.
    """
    if not full and _repeating(candidate) > seconds:
        why = f"a fit takes about {candidate.fit_seconds:.1f} s, more than is left for it"
        return skipped(others.REFIT, why), Check(name=REPRODUCIBLE, status="skipped", detail=why, extent="skipped")
    result, repeated = await others.check_refit(desk, task, prepared, candidate)
    if repeated:
        return result, Check(name=REPRODUCIBLE, status="passed", detail=result[0].detail)
    reproducible = await check_reproducible(desk, task, prepared, candidate, anyway=full)
    return others.not_reproducible(result, reproducible), reproducible


def _left(desk: Workbench, candidate: Candidate) -> float:
    """Seconds until the limit when the review of this candidate began."""
    return time_left(desk, "review", {"candidate": candidate.id, "program": candidate.program}).left


_WORST = ("found", "reduced", "skipped", "passed")


def _merged(checks: list[Check]) -> list[Check]:
    """One check per name from those of several programs: the worst word, and all details."""
    names = list(dict.fromkeys(check.name for check in checks))
    merged = []
    for name in names:
        same = [check for check in checks if check.name == name]
        worst = min(same, key=lambda check: _WORST.index(check.status))
        merged.append(worst.but(detail="; ".join(dict.fromkeys(check.detail for check in same))))
    return merged
