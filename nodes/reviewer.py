"""The reviewer: checks the finished model, may send work back, and then, once, has the sealed test set opened."""

from __future__ import annotations

from typing import Any

from state.candidate import Candidate, Check, Finding, Score, Verdict
from state.errors import ExpertError
from state.modeling import ModelingState
from state.profile import Profile
from state.questions import ReviewQuestion
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.baselines import baseline_ladder, constant_oof, record_ladder
from tools.blocking import in_thread, together
from tools.decisions import decide, decided, time_left
from tools.expectation import expect_sealed, looked
from tools.finalfit import chosen_members
from tools.inference_trial import TRIAL_ENDED
from tools.leaks import run_leak_checks
from tools.leaks.regroup import regroup
from tools.leaks.routes import columns_to_drop, programs_to_rewrite, refusals, wants_regrouping
from tools.leaks.sanity import check_after_test, check_baseline
from tools.leaks.trials import run_trials
from tools.receipts import Number
from tools.reproducing import NAME as REPRODUCIBLE
from tools.sealed import open_sealed_test
from tools.training import load_scored, units_at
from tools.workbench import Workbench

MOST_REVISIONS = 2
TIME_TO_DEAL_ANEW = 0.25
"""Share of the limit that must be left for the search when folds are dealt anew: every candidate is trained again."""


async def reviewer(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Mechanical checks first; only when the verdict would be accept is the sealed test set opened.

    Before the opening work may go back to researcher, candidate or operations, at most MOST_REVISIONS times. After it
    there is only accept or reject.
    """
    task, prepared, profile = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    checks = [Check.model_validate(check) for check in state["inference"]["checks"]]
    chosen = chosen_members(candidates, state["best"])
    members = [ReleaseMember.model_validate(member) for member in state["inference"]["members"]]
    (made, findings), (ladder, expected) = await together(
        _mechanical(desk, task, prepared, profile, candidates[state["best"]], chosen, members),
        in_thread(_beside, desk, task, prepared, state["best"], candidates),
    )
    checks = [*checks, *made]
    for check in made:
        desk.say("check", "reviewer", **check.plain())
    sent_back = _sent_back(state, desk, task, prepared, checks, findings, chosen)
    if sent_back is not None:
        return sent_back
    record_ladder(desk, task, prepared, ladder)
    verdict = await in_thread(_opinion, state, desk, task, profile, candidates, checks, findings, ladder)
    if prepared.sealed_rows and verdict.decision == "accept":
        test, opening, predictions = await open_sealed_test(
            desk, task, prepared, members, state["best"], candidates, expected
        )
        more = looked(candidates, state["best"]) and any(member.fold is None for member in members)
        verdict = _after_the_test(desk, task, verdict, candidates[state["best"]], test, opening, ladder, looked=more)
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


def _beside(
    desk: Workbench, task: Task, prepared: Prepared, best: str, candidates: dict[str, Candidate]
) -> tuple[list[dict[str, Any]], list[Number]]:
    """What follows from stored predictions alone, and so is worked out while the checks run programs: the ladder of
    baselines, and what is expected of the sealed test. Nothing of it is on record yet."""
    ladder = baseline_ladder(desk, task, prepared, candidates)
    return ladder, expect_sealed(desk, task, prepared, best, candidates) if prepared.sealed_rows else []


async def _mechanical(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    profile: Profile,
    best: Candidate,
    chosen: list[tuple[Candidate, float]],
    members: list[ReleaseMember],
) -> tuple[list[Check], list[Finding]]:
    """All checks that can be made before the test: on the data beside those that run programs."""

    def against_a_constant() -> tuple[Check, list[Finding]]:
        part, constant = load_scored(desk, best), constant_oof(desk, task, prepared)
        labels, units = desk.labels(prepared), units_at(desk, task, prepared)
        return check_baseline(task, best, part, constant, labels, units=units, seed=desk.settings.seed)

    (on_data, leaks), (on_programs, faults), (baseline, doubts) = await together(
        in_thread(run_leak_checks, desk, task, prepared, profile),
        run_trials(desk, task, prepared, chosen, members),
        in_thread(against_a_constant),
    )
    return [*on_data, *on_programs, baseline], [*leaks, *faults, *doubts]


def _sent_back(
    state: ModelingState,
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    checks: list[Check],
    findings: list[Finding],
    chosen: list[tuple[Candidate, float]],
) -> dict[str, Any] | None:
    """What goes back, and to whom; None when nothing does. All of it before the sealed test is opened.

    A run that was killed right after the opening comes here again: then, too, nothing may go back.
    """
    revisions = state.get("revisions", 0)
    is_opened = any(one["run_id"] == desk.run_id for one in desk.catalogue.openings(prepared.sealed_key))
    visit = {"best": state["best"], "iteration": state["iteration"], "revisions": revisions}
    left = time_left(desk, "sending back", visit).search
    # A run gone through again from its journal had opened the test set later than this visit: what was then is done.
    known = decided(desk, "sending back", visit)
    may = not is_opened if known is None else known["back"]
    sent = None
    if may and revisions < MOST_REVISIONS and left > 0:
        sent = _fault(state, desk, task, prepared, checks, findings, chosen, left)
    decide(desk, "sending back", visit, lambda: {"back": sent is not None})
    return sent


def _fault(
    state: ModelingState,
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    checks: list[Check],
    findings: list[Finding],
    chosen: list[tuple[Candidate, float]],
    left: float,
) -> dict[str, Any] | None:
    """The first fault somebody can mend, as the update that sends it back. left: seconds of the search."""
    smaller, reason = _reframed(desk, task, prepared, findings, left)
    if smaller is not None:
        return _revise_plan(state, desk, smaller, reason, checks, findings)
    if any(check.name == TRIAL_ENDED and check.status == "found" for check in checks):
        return _revise_inference(state, desk, checks, findings)
    everyone = [
        *state["inference"]["problems"],
        *(f"{one.name}: {one.detail}" for one in checks if one.name == REPRODUCIBLE and one.status == "found"),
    ]
    faulty = programs_to_rewrite(findings)
    problems = {
        one.id: [*everyone, *([faulty[one.id]] if one.id in faulty else [])]
        for one, _ in chosen
        if everyone or one.id in faulty
    }
    if problems:
        return _revise_program(state, desk, checks, findings, chosen, problems)
    return None


def _reframed(
    desk: Workbench, task: Task, prepared: Prepared, findings: list[Finding], left: float
) -> tuple[tuple[Task, Prepared] | None, str]:
    """Task and data without what leaks, and why; None when nothing has to change, or it cannot."""
    columns = columns_to_drop(findings, task)
    if columns:
        kept = [feature.plain() for feature in task.features if feature.name not in columns]
        gone = dict.fromkeys(columns, "taken away by the review: it gives the target away")
        reason = f"these columns give the target away: {', '.join(columns)}"
        return (task.but(features=kept, excluded={**task.excluded, **gone}), prepared), reason
    wanted, reach = wants_regrouping(findings)
    if wanted and left >= TIME_TO_DEAL_ANEW * desk.budget.total:
        dealt = regroup(desk.artifacts, task, prepared, reach=reach, seed=desk.settings.seed)
        return dealt, "rows repeat across borders: the folds are dealt anew, with repeated rows on one side"
    return None, ""


def _revise_plan(
    state: ModelingState,
    desk: Workbench,
    framed: tuple[Task, Prepared],
    reason: str,
    checks: list[Check],
    findings: list[Finding],
) -> dict[str, Any]:
    """Plan again on other columns or other folds; candidates of the old ones are out. The sealed rows stay."""
    task, prepared = framed
    version = state.get("candidates_version", 0)
    for one in desk.log.candidates(version).values():
        version = max(version, desk.record(one.but(status="dropped", reason=reason), "reviewer"))
    verdict = Verdict(decision="revise plan", reason=reason, checks=checks, findings=findings)
    desk.say("verdict", "reviewer", f"{verdict.decision}: {reason}", **verdict.plain())
    brief = desk.brief(state["brief"]).but(task=task.plain(), prepared=prepared.plain())
    return {
        "brief": desk.artifacts.put_json(brief.plain()),
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
    problems: dict[str, list[str]],
) -> dict[str, Any]:
    """Send programs back to their writers with what was wrong (candidate → sentences), each as a repair branch."""
    version = state.get("candidates_version", 0)
    branches = []
    revision = state.get("revisions", 0) + 1
    for one, _ in chosen:
        if one.id not in problems:
            continue
        wrong = problems[one.id]
        version = max(version, desk.record(one.but(status="dropped", reason=f"sent back: {wrong[0]}"), "reviewer"))
        plan = one.plan.but(id=f"{one.id}-r{revision}", operator="repair", parent=one.id)
        branches.append(
            {
                "run_id": state["run_id"],
                "brief": state["brief"],
                "candidate_id": plan.id,
                "iteration": state["iteration"],
                "plan": desk.artifacts.put_json(plan.plain()),
                "program": one.program,
                "problems": wrong,
            }
        )
    if state["best"] not in {one.id for one, _ in chosen}:
        ensemble = desk.log.candidates(version)[state["best"]]
        version = max(
            version, desk.record(ensemble.but(status="dropped", reason="its members were sent back"), "reviewer")
        )
    reason = next(iter(problems.values()))[0]
    verdict = Verdict(decision="revise program", reason=reason, checks=checks, findings=findings)
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
    broken = [*(f"inference: {problem}" for problem in state["inference"]["problems"]), *refusals(findings)]
    if broken:
        return Verdict(decision="reject", reason=broken[0], checks=checks, findings=findings)
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
    desk: Workbench,
    task: Task,
    verdict: Verdict,
    best: Candidate,
    test: Score | None,
    opening: dict[str, Any],
    ladder: list[dict[str, Any]],
    *,
    looked: bool,
) -> Verdict:
    """Add the test score. From here on the model is accepted or rejected, never sent back."""
    if test is None:
        return verdict.but(
            decision="reject", reason="the model gave invalid predictions for sealed rows", opening=opening
        )
    checks, findings = check_after_test(task, best.score, test, float(ladder[0]["value"]), looked=looked)
    for check in checks:
        desk.say("check", "reviewer", **check.plain())
    against = refusals(findings)
    return verdict.but(
        decision="reject" if against else verdict.decision,
        reason=against[0] if against else verdict.reason,
        test=test.plain(),
        opening=opening,
        checks=[*(check.plain() for check in verdict.checks), *(check.plain() for check in checks)],
        findings=[*(one.plain() for one in verdict.findings), *(one.plain() for one in findings)],
    )
