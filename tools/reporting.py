"""Gathering what a run knows into its report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from state.candidate import Candidate, Decision, Finding, IterationPlan, Verdict
from state.modeling import ModelingState
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.appraisal import appraise
from tools.explaining import Importance
from tools.exploration import worst_rows
from tools.labels import labels_in
from tools.portable.combining import weighed
from tools.publishing import cautions, version
from tools.report.facts import ReportFacts, summarise_exchanges
from tools.report.page import write_report
from tools.sandbox import mark
from tools.tracing import collect_numbers
from tools.training import load_oof, load_scored
from tools.workbench import Workbench, library_versions


def write_run_report(
    desk: Workbench, state: ModelingState, path: Path, *, importance: Importance, release: Path | None, refit: str
) -> None:
    """Write the run's report: one self-contained HTML file."""
    task, prepared, profile = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    events, brief = desk.log.events(), desk.brief(state["brief"])
    best, ladder = candidates[state["best"]], state.get("ladder", [])
    verdict = Verdict.model_validate(state["verdict"])
    tested = state.get("test_predictions")
    appraisal = appraise(
        desk,
        task,
        prepared,
        best.id,
        candidates,
        ladder=ladder,
        test=verdict.test,
        test_predictions=tested,
        importance=importance,
    )
    facts = ReportFacts(
        run=_run_facts(desk, state, release, refit),
        task=task,
        profile=profile,
        prepared=prepared,
        candidates=list(candidates.values()),
        best=best.id,
        findings=[Finding.model_validate(finding) for finding in state.get("findings", [])],
        verdict=verdict,
        importance=importance,
        baselines=ladder,
        segments=appraisal.segments,
        calibrations=appraisal.calibrations,
        cautions=cautions(map(ReleaseMember.model_validate, state["inference"]["members"]), prepared),
        numbers=collect_numbers(candidates, desk.log.events()),  # read again: the appraisal has added some
        release_folder=str(release) if release else None,
        exchanges=summarise_exchanges(desk.log.exchanges()),
        events=events,
        graph=desk.artifacts.get_text(state["drawing"]) if "drawing" in state else None,
        programs={one.id: desk.artifacts.get_text(one.program) for one in candidates.values() if one.program},
        notes=[brief.target_reason, *brief.reading_notes],
        **_told(events),
        **_values(desk, task, prepared, best, tested),
    )
    write_report(path, facts)


def _told(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Plans of iterations, decisions and a person's answers, as the run's events have them."""
    of: dict[str, list[dict[str, Any]]] = {kind: [] for kind in ("plans", "decision", "answer")}
    for event in events:
        of.get(event["kind"], []).append(event)
    return {
        "iteration_plans": [IterationPlan.model_validate(event["data"]["iteration_plan"]) for event in of["plans"]],
        "decisions": [Decision.model_validate(event["data"]) for event in of["decision"]],
        "answers": [
            {"gate": event["data"]["gate"], "time": event["time"], "text": _answer_text(event["data"]["answer"])}
            for event in of["answer"]
        ],
    }


def _values(desk: Workbench, task: Task, prepared: Prepared, best: Candidate, tested: str | None) -> dict[str, Any]:
    """Labels and predictions of the best candidate, out of fold and, once they were opened, of the sealed rows."""
    part, labels, features = load_oof(desk, str(best.oof)), desk.labels(prepared), desk.features(prepared)
    times = task.time_column if task.forecast and task.time_column in features else None
    decided = load_scored(desk, best).values if best.decided else None
    values: dict[str, Any] = {
        "oof_labels": labels[part.rows],
        "oof_predictions": part.values,
        "oof_times": features[times].to_numpy()[part.rows] if times else None,
        "oof_decided": decided,
        "worst_rows": worst_rows(task, part, labels, features, decided=decided),
    }
    if tested:
        predicted = desk.artifacts.get_array(tested)
        sealed = desk.artifacts.get_frame(prepared.sealed_features)
        values |= {
            "test_labels": labels_in(desk.artifacts.get_frame(prepared.sealed_labels)),
            "test_predictions": predicted,
            "test_times": sealed[times].to_numpy() if times else None,
            "test_decided": None if decided is None else weighed(predicted, best.combination.decision),
        }
    return values


def _run_facts(desk: Workbench, state: ModelingState, release: Path | None, refit: str) -> dict[str, Any]:
    run = desk.catalogue.run(desk.run_id)
    return {
        "id": run.id,
        "name": run.name,
        "created": run.created,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": desk.budget.spent(),
        "status": "released" if release else "rejected",
        "settings": desk.settings.model_dump(mode="json"),
        "versions": {**library_versions(), "modelwright": version()},
        "tier": mark(desk.settings.sandbox),
        "refit": refit,
    }


def _answer_text(answer: dict[str, Any]) -> str:
    """A person's answer in one line."""
    parts = [str(answer.get("action", ""))]
    parts += [f"keep {', '.join(answer['keep'])}"] if answer.get("keep") else []
    parts += [f"drop {', '.join(answer['drop'])}"] if answer.get("drop") else []
    parts += [f"edit {edit['id']}" for edit in answer.get("edit") or []]
    parts += [f"add {plan['id']}" for plan in answer.get("add") or []]
    parts += [f"“{answer['reason']}”"] if answer.get("reason") else []
    return "; ".join(parts)
