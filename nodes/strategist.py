"""The strategist: compares candidates, keeps the best, and decides to iterate, to ensemble or to stop, with a reason."""

from __future__ import annotations

from typing import Any, Literal

from state.candidate import Candidate, Decision, Finding, Member, StopReason
from state.errors import BudgetSpent, BuildFailed
from state.modeling import ModelingState
from state.task import Prepared, Task
from tools.bagging import keeps_models
from tools.budget import LEAST_RESERVED
from tools.decisions import TimeLeft, time_left
from tools.exploration import explore_predictions
from tools.finishing import finish, preferred
from tools.preferring import PREFERENCES
from tools.promotion import challenge, near_best
from tools.scoring import compare
from tools.selection import OutOfFold, at_rows, best_of, common_rows, ensemble_members
from tools.training import final_fit_seconds, load_oof, load_scored, reserve_final_fits, units_at
from tools.units import at
from tools.workbench import Workbench

Action = Literal["iterate", "ensemble", "stop"]
MOST_FINDINGS = 40
MOST_COMPARED = 8


def strategist(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """One decision after each iteration. The best candidate's log row is the snapshot; it is never overwritten."""
    task, prepared, _ = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    usable = [candidate for candidate in candidates.values() if candidate.usable]
    best = best_of(task, usable)
    if best is None:
        return _nothing_usable(state, desk, candidates)
    parts = {one.id: load_oof(desk, str(one.oof)) for one in usable}
    scored = {**parts, **{one.id: load_scored(desk, one) for one in usable if one.decided}}
    _announce(desk, task, prepared, best, state.get("best"), scored)
    reserve_final_fits(desk, candidates)
    findings = _findings(state, desk, task, prepared, best, parts[best.id], candidates)
    action, reason = _next_step(state, desk, best, findings, candidates)
    update: dict[str, Any] = {"findings": [finding.plain() for finding in findings][-MOST_FINDINGS:]}
    if action != "iterate":
        best = preferred(desk, task, prepared, usable, scored, best)
        final = _final(desk, task, prepared, state, usable, parts, best)
        if final is not None:
            update["candidates_version"] = desk.record(final, "strategist")
            scored[final.id] = load_scored(desk, final)
            usable = [*usable, final]
            best, action = final, "ensemble"
    decision = Decision(
        action=action, reason=reason, best=best.id, compared=_comparisons(desk, task, prepared, usable, scored, best)
    )
    desk.say("decision", "strategist", f"{decision.action}: {decision.reason}", **decision.plain())
    return {**update, "best": best.id, "decision": decision.plain()}


def _announce(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    best: Candidate,
    former: str | None,
    parts: dict[str, OutOfFold],
) -> None:
    """Tell which candidate has the best score, and of a new one whether its gain over the former is beyond luck."""
    facts: dict[str, Any] = {"candidate": best.id, "score": best.score and best.score.value}
    if former in parts and former != best.id:
        against = challenge(
            task,
            desk.labels(prepared),
            parts[best.id],
            parts[former],
            units=units_at(desk, task, prepared),
            rivals=len(parts) - 1,
            seed=desk.settings.seed,
        )
        facts.update(than=former, gain=against["gain"], sure=against["sure"])
    desk.say("best", "strategist", **facts)


def _nothing_usable(state: ModelingState, desk: Workbench, candidates: dict[str, Candidate]) -> dict[str, Any]:
    """Try again while iterations and time are left; otherwise end with what happened to each candidate."""
    failures = _failures(state["iteration"], candidates, {"failed", "dropped"})
    if state["iteration"] + 1 < desk.settings.iterations and _time_left(state, desk).search > 5:
        decision = Decision(action="iterate", reason="no candidate survived")
        desk.say("decision", "strategist", f"{decision.action}: {decision.reason}", **decision.plain())
        return {"findings": [finding.plain() for finding in failures], "decision": decision.plain()}
    told = "; ".join(finding.text for finding in failures) or "none was planned"
    if any(candidate.status == "failed" for candidate in candidates.values()):
        raise BuildFailed(
            f"no candidate survived: {told}",
            hint="`modelwright log last` shows every attempt; more --attempts, another --expert or simpler data may help",
        )
    raise BudgetSpent(
        f"the time limit of {desk.settings.time_limit:g} s ran out before any model was found",
        hint="`modelwright resume last --time-limit …` continues with more time; finished work is kept",
    )


def _failures(iteration: int, candidates: dict[str, Candidate], ended: set[str]) -> list[Finding]:
    """One finding per candidate of this iteration that has ended in one of these states."""
    failed = [one for one in candidates.values() if one.iteration == iteration and one.status in ended]
    return [
        Finding(
            id=f"i{iteration}-fail{number}",
            source="failure",
            topic="failure",
            severity="warning",
            candidate=one.id,
            text=f"{one.plan.title} {one.status}: {one.reason}",
            data={"recipe": one.plan.recipe},
        )
        for number, one in enumerate(failed, start=1)
    ]


def _findings(
    state: ModelingState,
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    best: Candidate,
    part: OutOfFold,
    candidates: dict[str, Candidate],
) -> list[Finding]:
    """What this iteration showed: failures, and where the best candidate is wrong."""
    iteration = state["iteration"]
    failures = _failures(iteration, candidates, {"failed"})
    shown = explore_predictions(
        task, best, part, desk.labels(prepared), desk.features(prepared), prefix=f"i{iteration}-f"
    )
    earlier = [Finding.model_validate(finding) for finding in state.get("findings", [])]
    return [*earlier, *failures, *shown]


def _next_step(
    state: ModelingState, desk: Workbench, best: Candidate, findings: list[Finding], candidates: dict[str, Candidate]
) -> tuple[Action, StopReason]:
    """The policy: look once more while it paid or findings are open, and time is left."""
    iteration = state["iteration"]
    if iteration + 1 >= desk.settings.iterations:
        return "stop", "iterations used up"
    quickest = min((one.fit_seconds for one in candidates.values() if one.usable), default=0.0)
    if _time_left(state, desk).search < max(3.0, 4.0 * quickest):
        return "stop", "time used up"
    if iteration == 0:
        return "iterate", "findings to answer" if findings else "first iteration: more to try"
    if best.iteration == iteration:
        return "iterate", "improved, time left"
    return "stop", "no improvement"


def _final(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    state: ModelingState,
    usable: list[Candidate],
    parts: dict[str, OutOfFold],
    best: Candidate,
) -> Candidate | None:
    """What is made of finished candidates: an ensemble when it holds up and its fits fit the time, a tuned decision."""
    whole = {
        one.id: parts[one.id]
        for one in usable
        if one.program and one.score and best.score and one.score.rows >= best.score.rows
    }
    left = _time_left(state, desk).left
    of = {one.id: one for one in usable}
    affordable = {
        name: part
        for name, part in whole.items()
        if _affordable(left, usable, name) or keeps_models(desk, task, prepared, of[name])
    }
    most = PREFERENCES[desk.settings.prefer].members
    members: list[Member] = []
    first: list[str] = []
    if len(affordable) > 1 and most > 1:
        units, labels = units_at(desk, task, prepared), desk.labels(prepared)
        stood = [one for one in usable if one.id in affordable]
        first = near_best(task, labels, parts, stood, best, units=units, seed=desk.settings.seed)
        members = ensemble_members(task, labels, affordable, seed=desk.settings.seed, first=first, most=most)
        costs = {one.id: one.fit_seconds for one in usable}
        first = _stackable(desk, left, members, first, costs)
        fitting = _fitting(desk, left, members, costs)
        # Where not all can be fitted once more, the models of the folds do.
        kept = len(fitting) < len(members) and all(
            keeps_models(desk, task, prepared, of[one.candidate]) for one in members
        )
        members = members if kept else fitting
    return finish(
        desk,
        task,
        prepared,
        iteration=state["iteration"],
        usable=usable,
        parts=parts,
        best=best,
        members=members,
        stackable=first,
    )


def _stackable(
    desk: Workbench, left: float, members: list[Member], first: list[str], costs: dict[str, float]
) -> list[str]:
    """The near-best candidates, when they and the members can all be fitted in the time left; else none."""
    names = {*first, *(member.candidate for member in members)}
    every = [Member(candidate=name, weight=1 / len(names)) for name in sorted(names)]
    return first if len(_fitting(desk, left, every, costs)) == len(every) else []


def _fitting(desk: Workbench, left: float, members: list[Member], costs: dict[str, float]) -> list[Member]:
    """The heaviest members whose two rounds of final fits end in the seconds left, review and report included."""
    kept = sorted(members, key=lambda member: -member.weight)
    while len(kept) > 1:
        fits = 2 * final_fit_seconds(desk, [costs[member.candidate] for member in kept])
        if fits + LEAST_RESERVED + len(kept) <= left:
            break
        kept.pop()
    whole = sum(member.weight for member in kept)
    return [member.but(weight=member.weight / whole) for member in kept]


def _time_left(state: ModelingState, desk: Workbench) -> TimeLeft:
    """What the clock said when this decision was first taken."""
    return time_left(desk, "strategist", {"iteration": state["iteration"], "revisions": state.get("revisions", 0)})


def _affordable(left: float, usable: list[Candidate], name: str) -> bool:
    """Whether two more fits of this candidate end in the seconds left."""
    fit = next(one.fit_seconds for one in usable if one.id == name)
    return 2.6 * fit < 0.5 * left


def _comparisons(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    usable: list[Candidate],
    parts: dict[str, OutOfFold],
    best: Candidate,
) -> list[dict[str, Any]]:
    """The best against every other candidate, paired on the rows both predicted."""
    labels, units = desk.labels(prepared), units_at(desk, task, prepared)
    rows_of = {one.id: common_rows([parts[best.id], parts[one.id]]) for one in usable if one.id != best.id}
    return [
        {
            "one": best.id,
            "other": name,
            **compare(
                task.metric,
                labels[rows],
                at_rows(parts[best.id], rows),
                at_rows(parts[name], rows),
                task.classes,
                task.positive,
                seed=desk.settings.seed,
                groups=at(units, rows),
            ),
        }
        for name, rows in list(rows_of.items())[:MOST_COMPARED]
        if rows.size
    ]
