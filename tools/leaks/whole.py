"""Every check, in full, on a finished run: its data, its chosen programs, and what its sealed test showed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from state.candidate import Candidate, Check, Finding, Verdict
from state.errors import ArtifactMissing, NotFound
from state.release import ReleaseMember
from state.task import Prepared
from tools.baselines import constant_oof
from tools.blocking import in_thread, together
from tools.finalfit import chosen_members
from tools.leaks import run_leak_checks
from tools.leaks.sanity import check_after_test, check_baseline
from tools.leaks.trials import run_trials
from tools.training import load_scored, units_at
from tools.workbench import Workbench


async def review_in_full(desk: Workbench, values: Mapping[str, Any]) -> dict[str, Any]:
    """Run all checks on what a run ended with, and return {when, candidate, full, seconds, checks, findings, artifact}.

    values: the state the run ended in. Jobs go through the run's journal. The label column of the sealed rows is not
    read: what is said about the test comes from the score the run has recorded. Nothing of the run or its release is
    changed; the result is stored as an artifact and told in the run's log (event `review`). Raises NotFound for a run
    without a chosen model, ArtifactMissing naming what the review needs and is gone.
    """
    began = time.monotonic()
    candidates = desk.log.candidates(values.get("candidates_version", 0))
    best = candidates.get(values.get("best") or "")
    if best is None or not best.usable:
        raise NotFound("the run has no chosen model to review", hint="`modelwright resume` goes on with a run")
    task, prepared, profile = desk.framed(values["brief"])
    chosen = chosen_members(candidates, best.id)
    members = [ReleaseMember.model_validate(one) for one in (values.get("inference") or {}).get("members", [])]
    _refuse_gaps(desk, prepared, [best, *(one for one, _ in chosen)], members)
    (data_checks, findings), (trial_checks, more) = await together(
        in_thread(run_leak_checks, desk, task, prepared, profile, full=True),
        run_trials(desk, task, prepared, chosen, members, full=True),
    )
    part, constant = load_scored(desk, best), constant_oof(desk, task, prepared)
    labels, units = desk.labels(prepared), units_at(desk, task, prepared)
    baseline, doubts = check_baseline(task, best, part, constant, labels, units=units, seed=desk.settings.seed)
    checks = [*data_checks, *trial_checks, baseline]
    findings = [*findings, *more, *doubts]
    verdict = Verdict.model_validate(values["verdict"]) if values.get("verdict") else None
    ladder = values.get("ladder") or []
    if verdict is not None and verdict.test is not None and ladder:
        looked = any(one.plan.rows for one, _ in chosen) and any(member.fold is None for member in members)
        after, told = check_after_test(task, best.score, verdict.test, float(ladder[0]["value"]), looked=looked)
        checks, findings = [*checks, *after], [*findings, *told]
    return _stored(desk, best.id, checks, findings, time.monotonic() - began)


def _refuse_gaps(
    desk: Workbench, prepared: Prepared, candidates: list[Candidate], members: list[ReleaseMember]
) -> None:
    """Raise ArtifactMissing naming what cannot be read any more, all of it."""
    wanted = {
        "features": prepared.features,
        "labels": prepared.labels,
        "sealed features": prepared.sealed_features,
        "folds": prepared.folds,
        "training rows": prepared.train_files[0],
        "validation rows": prepared.valid_files[0],
    }
    for one in candidates:
        wanted[f"out-of-fold predictions of {one.id}"] = str(one.oof)
        if one.decided:
            wanted[f"decisions of {one.id}"] = one.decided
        if one.program:
            wanted[f"program of {one.id}"] = one.program
    for member in members:
        wanted |= {f"model of {member.candidate} ({name})": reference for name, reference in member.model.items()}
    gone = [name for name, reference in wanted.items() if not desk.artifacts.has(reference)]
    if gone:
        raise ArtifactMissing(
            f"the review needs what is no longer in the artifact store: {', '.join(gone[:5])}",
            hint="restore the artifacts folder from a backup, or build again",
        )


def _stored(
    desk: Workbench, candidate: str, checks: list[Check], findings: list[Finding], seconds: float
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "candidate": candidate,
        "full": True,
        "seconds": round(seconds, 2),
        "checks": [check.plain() for check in checks],
        "findings": [finding.plain() for finding in findings],
    }
    result["artifact"] = desk.artifacts.put_json(result)
    worst = sum(finding.severity != "info" for finding in findings)
    text = f"full review of {candidate}: {len(checks)} checks, {len(findings)} findings, {worst} of them warnings"
    desk.say("review", "reviewer", text, **result)
    return result
