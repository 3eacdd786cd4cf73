"""Operations: fits the chosen model, writes the inference program, and tries it before it is believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Candidate, Check, Combination
from state.errors import BuildFailed
from state.modeling import ModelingState
from state.profile import Profile
from state.questions import InferenceQuestion
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.bagging import bagged_members, check_fold_models, why_bagged
from tools.blocking import in_thread
from tools.finalfit import chosen_members, fit_members
from tools.inference_trial import try_inference
from tools.memberjobs import predict_members, predictions_by_member
from tools.partfit import Part, part_to_fit
from tools.portable.combining import combine
from tools.release.layout import runtime_files
from tools.subsample import part_of
from tools.workbench import Workbench

PROBE_ROWS = 120


async def operations(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Fit every member on all rows outside the test set, then get an inference program that gives the same answers.

    A program that fails its trial goes back to the expert with what was wrong, a bounded number of times; the last
    word is the builtin expert's.
    """
    task, prepared, profile = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    chosen = chosen_members(candidates, state["best"])
    probe = _probe_rows(desk, prepared)
    combination = candidates[state["best"]].combination
    members, values, made = await _models(desk, task, prepared, profile, state["best"], chosen, probe)
    names, weights = [member.candidate for member in members], [member.weight for member in members]
    expected = combine(values, names, weights, combination.rule())
    rows = desk.features(prepared).iloc[probe].reset_index(drop=True)
    code, checks, problems, latency = await _inference(desk, task, members, prepared, rows, expected, combination)
    checks = [*made, *checks]
    problems += [f"{check.name}: {check.detail}" for check in made if check.status == "found"]
    for check in checks:
        desk.say("check", "operations", **check.plain())
    return {
        "inference": {
            "program": desk.artifacts.put_text(code),
            "members": [member.plain() for member in members],
            "checks": [check.plain() for check in checks],
            "problems": problems,
            "latency": latency,
        }
    }


async def _models(
    desk: Workbench,
    task: Task,
    prepared: Prepared,
    profile: Profile,
    best: str,
    chosen: list[tuple[Candidate, float]],
    probe: np.ndarray,
) -> tuple[list[ReleaseMember], list[np.ndarray], list[Check]]:
    """The fitted members, what each predicts for the probed rows, and checks of that.

    Fitted on all rows outside the test set, or after first looks on as many as the time allows; the models of the folds
    where a fit does not fit the time or is not wanted, or has failed: of all their rows if there are such, else those of the
    looks. Raises BuildFailed when there are none.
    """
    bagged = bagged_members(desk, task, prepared, chosen)
    why = why_bagged(desk, task, prepared, best, chosen) if bagged else ""
    part = None
    if not bagged and any(one.plan.rows for one, _ in chosen):
        bagged = bagged_members(desk, task, prepared, chosen, looks=True)
        part = part_to_fit(desk, task, profile, prepared, best, chosen)
        why = "there is no time to fit more rows than the first look had" if bagged and part is None else ""
    if not why:
        try:
            train = _train_file(desk, prepared, part)
            members, receipts = await fit_members(
                desk,
                task,
                chosen,
                features=prepared.features,
                train=train,
                probe=desk.artifacts.put_frame(pd.DataFrame({"row": probe.astype("float64")})),
                role="operations",
                part=part,
            )
            return members, [desk.artifacts.get_array(one.outputs["probe.npy"]) for one in receipts], []
        except BuildFailed as error:
            if not bagged:
                raise
            why = error.message
    desk.note(f"{why}: the models of the folds are used, averaged", "operations")
    some = desk.artifacts.put_frame(desk.features(prepared).iloc[probe].reset_index(drop=True))
    receipts = await predict_members(desk, task, bagged, some, label="probe")
    values = predictions_by_member(desk, task, len(probe), bagged, receipts)
    if not values:
        said = next((one.error for one in receipts if not one.ok), "a prediction was invalid")
        raise BuildFailed(f"neither a last fit nor the models of the folds can be used: {why}; {said}")
    return bagged, values, [check_fold_models(desk, prepared, bagged, values, probe)]


def _train_file(desk: Workbench, prepared: Prepared, part: Part | None) -> str:
    """What a last fit learns from: all rows outside the test set, or a part of them. Tells the person of a part."""
    if part is None or not part.rows:
        return prepared.train_all
    desk.note(f"fitted on {part.rows:,} of {prepared.rows:,} rows: more did not fit the time limit", "operations")
    return desk.artifacts.put_frame(part_of(desk.artifacts.get_frame(prepared.train_all), part.rows))


def _told(desk: Workbench, members: list[ReleaseMember]) -> list[dict[str, Any]]:
    """The members as an expert is told: once per program, with the number of its fold models where it has some."""
    told: dict[str, dict[str, Any]] = {}
    for one in members:
        program = desk.artifacts.get_text(one.program)
        named = {"candidate": one.candidate, "program": program, "weight": 0.0, "models": 0}
        entry = told.setdefault(one.candidate, named)
        entry["weight"] += one.weight
        entry["models"] += 1
    return list(told.values())


def _probe_rows(desk: Workbench, prepared: Prepared) -> np.ndarray:
    """Evenly spread positions of real rows, the same every time."""
    return np.unique(np.linspace(0, prepared.rows - 1, min(PROBE_ROWS, prepared.rows)).astype(int))


async def _inference(
    desk: Workbench,
    task: Task,
    members: list[ReleaseMember],
    prepared: Prepared,
    rows: pd.DataFrame,
    expected: np.ndarray,
    combination: Combination,
) -> tuple[str, list[Check], list[str], dict[str, float]]:
    question = InferenceQuestion(
        task=task,
        members=_told(desk, members),
        combination=combination.rule(),
    )
    expert = desk.expert("operations")
    writers = [desk.builtin] if expert.name == "builtin" else [expert] * (desk.settings.attempts - 1) + [desk.builtin]
    code = ""
    checks: list[Check] = []
    problems = ["no inference program was written"]
    latency: dict[str, float] = {}
    for writer in writers:
        code = (await in_thread(writer.ask, question)).code
        files = runtime_files(
            members,
            task=task,
            read_spec=desk.artifacts.get_json(prepared.read_spec),
            inference_code=code,
            artifacts=desk.artifacts,
            combination=combination,
        )
        checks, problems, latency = await try_inference(desk, task, files, rows, expected, combination)
        if not problems:
            break
        desk.note(f"the inference program failed its trial: {problems[0].strip().splitlines()[-1]}", "operations")
        question = question.model_copy(update={"problems": problems})
    return code, checks, problems, latency
