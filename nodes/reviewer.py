"""The reviewer: checks the finished model, may send work back, and then, once, has the sealed test set opened."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np

from state.candidate import Candidate, Check, Finding, Score, Verdict
from state.errors import ExpertError
from state.modeling import ModelingState
from state.profile import Profile
from state.questions import ReviewQuestion
from state.release import ReleaseMember
from state.task import Task
from tools.baselines import baseline_ladder
from tools.finalfit import chosen_members
from tools.inference_trial import TRIAL_ENDED
from tools.leaks import run_leak_checks
from tools.reproducing import check_reproducible
from tools.sealed import open_sealed_test
from tools.workbench import Workbench

MOST_REVISIONS = 2


async def reviewer(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Mechanical checks first; only when the verdict would be accept is the sealed test set opened.

    Before the opening work may go back to researcher, candidate or operations, at most MOST_REVISIONS times. After it
    there is only accept or reject.
    """
    task, prepared, profile = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    checks = [Check.model_validate(check) for check in state["inference"]["checks"]]
    leak_checks, findings = run_leak_checks(desk, task, prepared, profile)
    chosen = chosen_members(candidates, state["best"])
    repeated = await check_reproducible(desk, task, prepared, max(chosen, key=lambda pair: pair[1])[0])
    checks = [*checks, *leak_checks, repeated]
    for check in [*leak_checks, repeated]:
        desk.say("check", "reviewer", **check.plain())
    sent_back = _sent_back(state, desk, task, checks, findings, chosen)
    if sent_back is not None:
        return sent_back
    ladder = baseline_ladder(desk, task, prepared, candidates)
    verdict = await asyncio.to_thread(_opinion, state, desk, task, profile, candidates, checks, findings, ladder)
    if prepared.sealed_rows and verdict.decision == "accept":
        members = [ReleaseMember.model_validate(member) for member in state["inference"]["members"]]
        test, opening, predictions = await open_sealed_test(desk, task, prepared, members, state["best"])
        verdict = _after_the_test(task, verdict, candidates[state["best"]], test, opening, ladder)
        test_predictions = desk.artifacts.put_array(predictions)
    else:
        test_predictions = None
    desk.say("verdict", "reviewer", f"{verdict.decision}: {verdict.reason}", **verdict.plain())
    return {
        "verdict": verdict.plain(),
        "ladder": ladder,
        "test_predictions": test_predictions,
        "findings": [*state.get("findings", []), *(finding.plain() for finding in verdict.findings)][-40:],
    }


def _sent_back(
    state: ModelingState,
    desk: Workbench,
    task: Task,
    checks: list[Check],
    findings: list[Finding],
    chosen: list[tuple[Candidate, float]],
) -> dict[str, Any] | None:
    """What goes back, and to whom; None when nothing does. All of it before the sealed test is opened."""
    revisions = state.get("revisions", 0)
    if revisions >= MOST_REVISIONS or desk.budget.search_left() <= 0:
        return None
    columns = sorted({str(one.data["column"]) for one in findings if one.severity == "error" and "column" in one.data})
    columns = [name for name in columns if any(feature.name == name for feature in task.features)]
    if columns and len(columns) < len(task.features):
        return _revise_plan(state, desk, task, checks, findings, columns)
    if any(check.name == TRIAL_ENDED and check.status == "found" for check in checks):
        return _revise_inference(state, desk, checks, findings)
    problems = [*state["inference"]["problems"]]
    problems += [
        f"{check.name}: {check.detail}" for check in checks if check.name == "reproducible" and check.status == "found"
    ]
    if problems:
        return _revise_program(state, desk, checks, findings, chosen, problems)
    return None


def _revise_plan(
    state: ModelingState, desk: Workbench, task: Task, checks: list[Check], findings: list[Finding], columns: list[str]
) -> dict[str, Any]:
    """Take leaking columns away from every program and plan again; candidates that saw them are out."""
    reason = f"these columns give the target away: {', '.join(columns)}"
    brief = desk.brief(state["brief"])
    kept = [feature.plain() for feature in task.features if feature.name not in columns]
    excluded = {**task.excluded, **dict.fromkeys(columns, "taken away by the review: it gives the target away")}
    version = state.get("candidates_version", 0)
    for one in desk.log.candidates(version).values():
        version = max(version, desk.record(one.but(status="dropped", reason=reason), "reviewer"))
    verdict = Verdict(decision="revise plan", reason=reason, checks=checks, findings=findings)
    desk.say("verdict", "reviewer", f"{verdict.decision}: {reason}", **verdict.plain())
    smaller = brief.but(task=task.but(features=kept, excluded=excluded).plain())
    return {
        "brief": desk.artifacts.put_json(smaller.plain()),
        "verdict": verdict.plain(),
        "findings": [*state.get("findings", []), *(finding.plain() for finding in findings)][-40:],
        "candidates_version": version,
        "revisions": state.get("revisions", 0) + 1,
    }


def _revise_inference(
    state: ModelingState, desk: Workbench, checks: list[Check], findings: list[Finding]
) -> dict[str, Any]:
    """The trial itself was ended (a limit, a signal) and says nothing about the programs: operations tries again."""
    reason = next(check.detail for check in checks if check.name == TRIAL_ENDED)
    verdict = Verdict(decision="revise inference", reason=reason, checks=checks, findings=findings)
    desk.say("verdict", "reviewer", f"{verdict.decision}: {reason}", **verdict.plain())
    return {"verdict": verdict.plain(), "revisions": state.get("revisions", 0) + 1}


def _revise_program(
    state: ModelingState,
    desk: Workbench,
    checks: list[Check],
    findings: list[Finding],
    chosen: list[tuple[Candidate, float]],
    problems: list[str],
) -> dict[str, Any]:
    """Send every chosen program back to its writer with what was wrong, as a repair branch of its own."""
    version = state.get("candidates_version", 0)
    branches = []
    revision = state.get("revisions", 0) + 1
    for one, _ in chosen:
        version = max(version, desk.record(one.but(status="dropped", reason=f"sent back: {problems[0]}"), "reviewer"))
        plan = one.plan.but(id=f"{one.id}-r{revision}", operator="repair", parent=one.id)
        branches.append(
            {
                "run_id": state["run_id"],
                "brief": state["brief"],
                "candidate_id": plan.id,
                "iteration": state["iteration"],
                "plan": desk.artifacts.put_json(plan.plain()),
                "program": one.program,
                "problems": problems,
            }
        )
    if state["best"] not in {one.id for one, _ in chosen}:
        ensemble = desk.log.candidates(version)[state["best"]]
        version = max(
            version, desk.record(ensemble.but(status="dropped", reason="its members were sent back"), "reviewer")
        )
    verdict = Verdict(decision="revise program", reason=problems[0], checks=checks, findings=findings)
    desk.say("verdict", "reviewer", f"{verdict.decision}: {verdict.reason}", **verdict.plain())
    return {
        "branches": branches,
        "verdict": verdict.plain(),
        "candidates_version": version,
        "revisions": revision,
    }


def _opinion(
    state: ModelingState,
    desk: Workbench,
    task: Task,
    profile: Profile,
    candidates: dict[str, Candidate],
    checks: list[Check],
    findings: list[Finding],
    ladder: list[dict[str, Any]],
) -> Verdict:
    """The verdict before the test: reject what does not work or reproduce, else accept, with the expert's words."""
    broken = [*state["inference"]["problems"]]
    if broken:
        return Verdict(decision="reject", reason=f"inference: {broken[0]}", checks=checks, findings=findings)
    best = candidates[state["best"]]
    facts = {
        "score": best.score.plain() if best.score else None,
        "metric": task.metric.plain(),
        # A model is no better than itself, and that says nothing against it.
        "baselines": [step for step in ladder if step.get("candidate") != best.id],
        "checks": [check.plain() for check in checks],
        "findings": [finding.plain() for finding in findings],
        "candidate": best.plan.title,
        "members": len(best.members),
    }
    try:
        review = desk.expert("reviewer").ask(ReviewQuestion(task=task, profile=profile, facts=facts))
    except ExpertError as error:
        desk.note(f"no opinion from the expert: {error}", "reviewer")
        return Verdict(decision="accept", reason="all mechanical checks passed", checks=checks, findings=findings)
    concerns = [
        Finding(id=f"review-{number}", source="review", topic="review", text=text, severity="warning")
        for number, text in enumerate(review.concerns, start=1)
    ]
    return Verdict(decision="accept", reason=review.summary, checks=checks, findings=[*findings, *concerns])


def _after_the_test(
    task: Task,
    verdict: Verdict,
    best: Candidate,
    test: Score | None,
    opening: dict[str, Any],
    ladder: list[dict[str, Any]],
) -> Verdict:
    """Add the test score. From here on the model is accepted or rejected, never sent back."""
    if test is None:
        return verdict.but(
            decision="reject", reason="the model gave invalid predictions for sealed rows", opening=opening
        )
    findings = [*verdict.findings]
    if best.score and _apart(best.score, test):
        findings.append(
            Finding(
                id="review-gap",
                source="review",
                topic="test gap",
                severity="warning",
                text=f"the sealed test score {test.value:.4g} [{test.low:.4g}, {test.high:.4g}] lies apart from the "
                f"out-of-fold score {best.score.value:.4g} [{best.score.low:.4g}, {best.score.high:.4g}]",
            )
        )
    constant = ladder[0]["value"]
    if not task.metric.better(test.value, constant):
        findings.append(
            Finding(
                id="review-constant",
                source="review",
                topic="no signal",
                severity="warning",
                text=f"on the sealed test the model ({test.value:.4g}) is no better than a constant guess was out of fold "
                f"({constant:.4g}): the columns may hold no signal",
            )
        )
    return verdict.but(test=test.plain(), opening=opening, findings=[finding.plain() for finding in findings])


def _apart(one: Score, other: Score) -> bool:
    """True when the intervals do not overlap."""
    values = np.array([one.low, one.high, other.low, other.high])
    return bool(values[1] < values[2] or values[3] < values[0])
