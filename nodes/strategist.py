"""The strategist: compares candidates, keeps the best, and decides to iterate, to ensemble or to stop, with a reason."""

from __future__ import annotations

from typing import Any, Literal

from state.candidate import Candidate, Decision, Finding, Member
from state.errors import BudgetSpent, BuildFailed
from state.modeling import ModelingState
from state.profile import Profile
from state.task import Prepared, Task
from tools.bagging import keeps_models
from tools.costs import can_be_refitted, refit_seconds
from tools.decisions import TimeLeft, decide, time_left
from tools.exploration import explore_predictions
from tools.finishing import elected, finish, preferred
from tools.memory import recall
from tools.preferring import PREFERENCES
from tools.promotion import challenge, near_best
from tools.scoring import compare
from tools.search.ablation import ablation_findings
from tools.search.helping import fruitless_after
from tools.search.sizing import folds_of
from tools.search.steering import Step, next_step
from tools.selection import OutOfFold, at_rows, best_of, common_rows, ensemble_members, equal_members
from tools.training import final_fit_seconds, load_oof, load_scored, reserve_final_fits, units_at
from tools.units import at
from tools.workbench import Workbench

Action = Literal["iterate", "ensemble", "stop"]
MOST_FINDINGS = 40
MOST_COMPARED = 8


def strategist(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """One decision after each iteration. The best candidate's log row is the snapshot; it is never overwritten."""
    task, prepared, profile = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    usable = _electable(candidates)
    best = best_of(task, usable)
    if best is None:
        return _nothing_usable(state, desk, candidates)
    parts = {one.id: load_oof(desk, str(one.oof)) for one in usable}
    scored = {**parts, **{one.id: load_scored(desk, one) for one in usable if one.decided}}
    _announce(desk, task, prepared, best, state.get("best"), scored)
    reserve_final_fits(desk, candidates)
    findings = _findings(state, desk, task, prepared, best, parts[best.id], candidates)
    units, iteration = units_at(desk, task, prepared), state["iteration"]
    seed, labels, known = desk.settings.seed, desk.labels(prepared), list(candidates.values())
    findings += ablation_findings(task, labels, parts, known, iteration, units=units, seed=seed)
    fruitless = fruitless_after(
        state.get("fruitless", 0), task, labels, parts, known, best, iteration, units=units, seed=seed
    )
    step = _next_step(state, desk, task, prepared, profile, best, findings, known, fruitless)
    action: Action = step.action
    update: dict[str, Any] = {
        "findings": [finding.plain() for finding in findings][-MOST_FINDINGS:],
        "operations": [operation.plain() for operation in step.operations],
        "fruitless": fruitless,
    }
    if action != "iterate":
        usable, best = elected(desk, task, prepared, usable, scored, best)
        best = preferred(desk, task, prepared, usable, scored, best)
        final = _final(desk, task, prepared, state, usable, parts, best)
        if final is not None:
            update["candidates_version"] = desk.record(final, "strategist")
            scored[final.id] = load_scored(desk, final)
            usable = [*usable, final]
            best, action = final, "ensemble"
    decision = Decision(
        action=action,
        reason=step.reason,
        detail=step.detail,
        policy=desk.settings.policy,
        operations=step.operations,
        best=best.id,
        compared=[] if action == "iterate" else _comparisons(desk, task, prepared, usable, scored, best),
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
        return {"findings": [finding.plain() for finding in failures], "decision": decision.plain(), "operations": []}
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
    prefix = f"i{iteration}-f"
    shown = []
    if best.id != state.get("best"):  # what the same candidate's predictions show is on record
        shown = explore_predictions(task, best, part, desk.labels(prepared), desk.features(prepared), prefix=prefix)
    earlier = [Finding.model_validate(finding) for finding in state.get("findings", [])]
    return [*earlier, *failures, *shown]


def _electable(candidates: dict[str, Candidate]) -> list[Candidate]:
    """Who may be the best: finished candidates, and first looks only while there is nothing else."""
    usable = [candidate for candidate in candidates.values() if candidate.usable]
    return [candidate for candidate in usable if not candidate.plan.rows] or usable


def _next_step(
    state: ModelingState,
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    profile: Profile,
    best: Candidate,
    findings: list[Finding],
    candidates: list[Candidate],
    fruitless: int,
) -> Step:
    """What the search policy and the time left make of this iteration."""
    iteration = state["iteration"]
    lessons = decide(
        desk,
        "lessons",
        {"of": "search"},
        lambda: {"known": [] if desk.settings.fresh else recall(desk.catalogue, task.kind, profile.traits)},
        for_good=True,
    )
    # Whether the person named a number is known only where the run began.
    named = decide(
        desk,
        "candidates of a round",
        {"of": "search"},
        lambda: {"named": "candidates" in desk.settings.model_fields_set},
        for_good=True,
    )
    looked = any(one.plan.rows for one in candidates)
    return next_step(
        task,
        profile,
        desk.settings,
        candidates,
        findings,
        iteration=iteration,
        improved=best.iteration == iteration,
        fruitless=fruitless,
        left=_time_left(state, desk).search,
        slots=desk.slots,
        folds=folds_of(candidates) or len(prepared.train_files),
        train_rows=len(desk.artifacts.get_frame(prepared.train_files[0])) if looked else 0,
        lessons=lessons["known"],
        flexible=not named["named"],
    )


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
    of, costs = {one.id: one for one in usable}, {one.id: refit_seconds(one) for one in usable}
    affordable = {
        name: part
        for name, part in whole.items()
        if can_be_refitted(costs[name], left) or keeps_models(desk, task, prepared, of[name])
    }
    most = PREFERENCES[desk.settings.prefer].members
    members: list[Member] = []
    first: list[str] = []
    if len(affordable) > 1 and most > 1:
        units, labels = units_at(desk, task, prepared), desk.labels(prepared)
        stood = [one for one in usable if one.id in affordable]
        first = near_best(task, labels, parts, stood, best, units=units, seed=desk.settings.seed)
        if task.horizon is None:
            members = ensemble_members(task, labels, affordable, seed=desk.settings.seed, first=first, most=most)
            first = _stackable(desk, left, members, first, costs)
        else:
            members, first = equal_members(first), []
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
        if fits + desk.budget.closing + len(kept) <= left:
            break
        kept.pop()
    whole = sum(member.weight for member in kept)
    return [member.but(weight=member.weight / whole) for member in kept]


def _time_left(state: ModelingState, desk: Workbench) -> TimeLeft:
    """What the clock said when this decision was first taken."""
    return time_left(desk, "strategist", {"iteration": state["iteration"], "revisions": state.get("revisions", 0)})


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
