"""Gathering what a run knows into its release folder and its report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Candidate, Decision, Finding, IterationPlan, Verdict
from state.modeling import ModelingState
from state.release import Baseline, DataOrigin, ReleaseFacts, ReleaseMember
from state.task import Prepared, Task
from tools.appraisal import appraise
from tools.bagging import rows_fitted_on
from tools.blocking import in_thread, together
from tools.explaining import Importance
from tools.exploration import worst_rows
from tools.labels import label_columns, labels_in
from tools.portable.combining import weighed
from tools.release.examples import example_job, example_predictions
from tools.release.folder import publish
from tools.release.layout import runtime_files
from tools.release.training import fitting_order
from tools.report.facts import ReportFacts, summarise_exchanges
from tools.report.page import write_report
from tools.sandbox import mark
from tools.tracing import collect_numbers
from tools.training import load_oof, load_scored
from tools.workbench import Workbench, library_versions

EXAMPLES = 5


def refit_data(desk: Workbench, prepared: Prepared) -> tuple[str, str]:
    """References of features and labelled rows of everything, sealed rows included; used after acceptance only."""
    features = [desk.artifacts.get_frame(prepared.features), desk.artifacts.get_frame(prepared.sealed_features)]
    labels = [desk.artifacts.get_frame(ref) for ref in (prepared.labels, prepared.sealed_labels)]
    together = pd.concat(features, ignore_index=True)
    rows = pd.concat([frame[label_columns(frame)] for frame in labels], ignore_index=True)
    rows.insert(0, "row", np.arange(len(together), dtype=float))
    return desk.artifacts.put_frame(together), desk.artifacts.put_frame(rows)


async def publish_release(
    desk: Workbench,
    state: ModelingState,
    folder: Path,
    members: list[ReleaseMember],
    *,
    refit: str,
    report: Path,
    write_it: Callable[[], None],
) -> dict[str, Any]:
    """Write the release folder and return its manifest. write_it: writes the report, in a thread of its own while the
    release answers its example rows."""
    task, prepared, _ = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    spec = desk.artifacts.get_json(prepared.read_spec)
    members = [
        member.but(expert=candidates[member.candidate].expert, title=candidates[member.candidate].plan.title)
        for member in members
    ]
    order, labels = fitting_order(
        desk.artifacts.get_frame(prepared.labels),
        desk.artifacts.get_frame(prepared.sealed_labels),
        refit="all" if refit == "all" else "train",
        test_given=desk.brief(state["brief"]).test_table is not None,
    )
    files = runtime_files(
        members,
        task=task,
        read_spec=spec,
        inference_code=desk.artifacts.get_text(state["inference"]["program"]),
        artifacts=desk.artifacts,
        seed=desk.settings.seed,
        order=order,
        labels=labels,
        combination=candidates[state["best"]].combination,
        parts=rows_fitted_on(desk, prepared, members),
    )
    facts = _release_facts(desk, state, task, prepared, candidates[state["best"]], members, spec, refit)
    examples = desk.features(prepared).head(EXAMPLES)
    job = example_job(
        files, examples, spec, artifacts=desk.artifacts, limits=desk.limits(max(20.0, desk.budget.left()))
    )
    receipt, _ = await together(desk.start(lambda: job), in_thread(write_it))
    return publish(
        folder,
        files,
        facts,
        artifacts=desk.artifacts,
        examples=examples,
        example_predictions=example_predictions(receipt, artifacts=desk.artifacts),
        report=report,
    )


def _cautions(members: Iterable[ReleaseMember], prepared: Prepared) -> list[str]:
    """What a reader must know of how the model was fitted."""
    rows = sorted({member.rows for member in members if member.rows})
    if not rows:
        return []
    told = " and ".join(f"{one:,}" for one in rows)
    return [f"The model was fitted on {told} of {prepared.rows:,} rows: the time limit had no room for more."]


def _release_facts(
    desk: Workbench,
    state: ModelingState,
    task: Task,
    prepared: Prepared,
    best: Candidate,
    members: list[ReleaseMember],
    spec: dict[str, Any],
    refit: str,
) -> ReleaseFacts:
    verdict, run = Verdict.model_validate(state["verdict"]), desk.catalogue.run(desk.run_id)
    rows = prepared.rows + prepared.sealed_rows
    return ReleaseFacts(
        run_id=run.id,
        run_name=run.name,
        created=run.created,
        modelwright=version(),
        intent=task.intent,
        task=task,
        read_spec=spec,
        members=members,
        combination=best.combination,
        latency=state["inference"].get("latency") or {},
        model_bytes=sum(desk.artifacts.size(ref) for member in members for ref in member.model.values()),
        prefer=desk.settings.prefer,
        candidate=best.id,
        title=best.plan.title,
        score=best.score,
        test=verdict.test,
        opening=verdict.opening,
        test_before_refit=refit == "all" and prepared.sealed_rows > 0,
        refit="all" if refit == "all" else "train",
        fitted_rows=rows if refit == "all" else max(member.rows or prepared.rows for member in members),
        rows=rows,
        sealed_rows=prepared.sealed_rows,
        seed=desk.settings.seed,
        source=prepared.source,
        origin=_origin(desk, state["brief"]),
        sandbox=mark(desk.settings.sandbox),
        versions=library_versions(),
        baselines=[Baseline(name=step["name"], score=step["value"]) for step in state.get("ladder", [])],
        checks=verdict.checks,
        limits=[
            *(finding.text for finding in verdict.findings if finding.severity != "info"),
            *_cautions(members, prepared),
        ],
    )


def _origin(desk: Workbench, reference: str) -> DataOrigin:
    """Where the data came from; a DataFrame's rows are named by their reference, since no file holds them."""
    brief = desk.brief(reference)
    data, test = brief.settings["data"], brief.settings["test_data"]
    return DataOrigin(
        path=str(Path(data).expanduser().absolute()) if data else None,
        table=None if data else brief.table,
        test_path=str(Path(test).expanduser().absolute()) if test else None,
        test_source=brief.test_source or None,
    )


def version() -> str:
    """Version of modelwright, also in a checkout that was never installed."""
    from importlib import metadata

    try:
        return metadata.version("modelwright")
    except metadata.PackageNotFoundError:
        return "0+checkout"


def write_run_report(
    desk: Workbench, state: ModelingState, path: Path, *, importance: Importance, release: Path | None, refit: str
) -> None:
    """Write the run's report: one self-contained HTML file."""
    task, prepared, profile = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    events = desk.log.events()
    best = candidates[state["best"]]
    part = load_oof(desk, str(best.oof))
    features = desk.features(prepared)
    times = task.time_column if task.forecast and task.time_column in features else None
    decided = load_scored(desk, best).values if best.decided else None
    tested = state.get("test_predictions")
    test_values = desk.artifacts.get_array(tested) if tested else None
    sealed = labels_in(desk.artifacts.get_frame(prepared.sealed_labels)) if tested else None
    brief = desk.brief(state["brief"])
    verdict = Verdict.model_validate(state["verdict"])
    appraisal = appraise(
        desk,
        task,
        prepared,
        best.id,
        candidates,
        ladder=state.get("ladder", []),
        test=verdict.test,
        test_predictions=tested,
        importance=importance,
    )
    write_report(
        path,
        ReportFacts(
            run=_run_facts(desk, state, release, refit),
            task=task,
            profile=profile,
            prepared=prepared,
            iteration_plans=[
                IterationPlan.model_validate(event["data"]["iteration_plan"])
                for event in events
                if event["kind"] == "plans"
            ],
            candidates=list(candidates.values()),
            best=best.id,
            decisions=[Decision.model_validate(event["data"]) for event in events if event["kind"] == "decision"],
            findings=[Finding.model_validate(finding) for finding in state.get("findings", [])],
            verdict=verdict,
            oof_labels=desk.labels(prepared)[part.rows],
            oof_predictions=part.values,
            oof_times=features[times].to_numpy()[part.rows] if times else None,
            test_labels=sealed,
            test_predictions=test_values,
            test_times=desk.artifacts.get_frame(prepared.sealed_features)[times].to_numpy()
            if tested and times
            else None,
            oof_decided=decided,
            test_decided=weighed(test_values, best.combination.decision)
            if decided is not None and test_values is not None
            else None,
            importance=importance,
            baselines=state.get("ladder", []),
            segments=appraisal.segments,
            calibrations=appraisal.calibrations,
            cautions=_cautions(map(ReleaseMember.model_validate, state["inference"]["members"]), prepared),
            numbers=collect_numbers(candidates, desk.log.events()),
            answers=[
                {"gate": event["data"]["gate"], "time": event["time"], "text": _answer_text(event["data"]["answer"])}
                for event in events
                if event["kind"] == "answer"
            ],
            release_folder=str(release) if release else None,
            exchanges=summarise_exchanges(desk.log.exchanges()),
            events=events,
            graph=desk.artifacts.get_text(state["drawing"]) if "drawing" in state else None,
            worst_rows=worst_rows(task, part, desk.labels(prepared), features, decided=decided),
            programs={one.id: desk.artifacts.get_text(one.program) for one in candidates.values() if one.program},
            notes=[brief.target_reason, *brief.reading_notes],
        ),
    )


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
