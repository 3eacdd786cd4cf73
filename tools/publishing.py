"""Gathering what a run knows into its release folder and its report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Candidate, Verdict
from state.modeling import ModelingState
from state.release import Baseline, DataOrigin, ReleaseFacts, ReleaseMember
from state.task import Prepared, Task
from tools.bagging import rows_fitted_on
from tools.blocking import in_thread, together
from tools.labels import label_columns
from tools.release.examples import example_job, example_predictions
from tools.release.folder import publish
from tools.release.layout import runtime_files
from tools.release.training import fitting_order
from tools.sandbox import mark
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


def cautions(members: Iterable[ReleaseMember], prepared: Prepared) -> list[str]:
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
            *cautions(members, prepared),
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
