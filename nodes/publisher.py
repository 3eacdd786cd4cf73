"""The publisher: fits the accepted model on all rows, writes release folder and report, and keeps the lessons."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from state.candidate import Verdict
from state.errors import BuildFailed
from state.modeling import ModelingState
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.blocking import in_thread, together
from tools.decisions import time_left
from tools.explaining import explain
from tools.finalfit import chosen_members, fit_members
from tools.home import run_folder
from tools.keeping import keep_files
from tools.memory import lessons_of, remember
from tools.publishing import publish_release, refit_data
from tools.release.checking import manifest_hash
from tools.reporting import write_run_report
from tools.training import final_fit_seconds
from tools.workbench import Workbench

MORE_ROWS = 1.25
"""The sealed rows make the last fits take that much longer than those before them."""


async def publisher(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Publish what was accepted; a rejected model leaves a report and lessons, and no release.

    Writes the run's folder: `release/` and `report.html`. Publishing again gives the same folder.
    """
    task, prepared, profile = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    verdict = Verdict.model_validate(state["verdict"])
    accepted = verdict.decision == "accept" and state.get("release_answer", {}).get("action", "approve") == "approve"
    heaviest = max(chosen_members(candidates, state["best"]), key=lambda pair: pair[1])[0]
    (members, refit), importance = await together(
        _released_members(state, desk, task, prepared) if accepted else _nothing(),
        explain(desk, task, prepared, heaviest),
    )
    folder = run_folder(desk.run_id)
    report = folder / "report.html"
    release = folder / "release" if accepted else None
    lessons = lessons_of(desk.run_id, task, profile.traits, list(candidates.values()))
    write_it = partial(write_run_report, desk, state, report, importance=importance, release=release, refit=refit)
    if release is None:
        await in_thread(write_it)
    else:
        await publish_release(desk, state, release, members, refit=refit, report=report, write_it=write_it)
    remember(desk.catalogue, lessons)
    summary = _summary(state, task, release, report, refit)
    summary["manifest"] = manifest_hash(release) if release is not None else None
    summary |= keep_files(desk.artifacts, release, report)
    desk.say("release", "publisher", **summary)
    return {"release": {**summary, "lessons": len(lessons)}}


async def _nothing() -> tuple[list[ReleaseMember], str]:
    return [], "train"


async def _released_members(
    state: ModelingState, desk: Workbench, task: Task, prepared: Prepared
) -> tuple[list[ReleaseMember], str]:
    """The members fitted on all labelled rows; those of the tested model when that fails or is not wanted."""
    tested = [ReleaseMember.model_validate(member) for member in state["inference"]["members"]]
    if any(member.fold is not None or member.rows for member in tested):
        return tested, "train"
    if desk.settings.refit == "train" or not prepared.sealed_rows:
        return tested, "train" if prepared.sealed_rows else "all"
    chosen = chosen_members(desk.log.candidates(state.get("candidates_version", 0)), state["best"])
    if any(one.plan.rows for one, _ in chosen):
        return tested, "train"  # a fit that replays what was right for a first look's rows would be the worse model
    left = time_left(desk, "refit", {"best": state["best"]}).left
    if left < final_fit_seconds(desk, [MORE_ROWS * one.seconds for one in tested]):
        desk.note("no time left to fit again on all rows: the model judged by the sealed test is released", "publisher")
        return tested, "train"
    features, train = refit_data(desk, prepared)
    try:
        members, _ = await fit_members(
            desk,
            task,
            chosen,
            features=features,
            train=train,
            probe=None,
            role="publisher",
        )
    except BuildFailed as error:
        desk.note(f"{error.message}; the model judged by the sealed test is released instead", "publisher")
        return tested, "train"
    return members, "all"


def _summary(state: ModelingState, task: Task, release: Path | None, report: Path, refit: str) -> dict[str, Any]:
    verdict = state["verdict"]
    return {
        "folder": str(release) if release else None,
        "report": str(report),
        "best": state["best"],
        "metric": task.metric.name,
        "test": verdict.get("test"),
        "refit": refit if release else None,
        "verdict": verdict["decision"],
        "ladder": state.get("ladder", []),
    }
