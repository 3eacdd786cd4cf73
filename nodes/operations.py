"""Operations: fits the chosen model, writes the inference program, and tries it before it is believed."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pandas as pd

from state.candidate import Candidate, Check
from state.modeling import ModelingState
from state.questions import InferenceQuestion
from state.release import ReleaseMember
from state.task import Prepared, Task
from tools.finalfit import chosen_members, fit_members
from tools.inference_trial import try_inference
from tools.release.layout import runtime_files
from tools.workbench import Workbench

PROBE_ROWS = 120


async def operations(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Fit every member on all rows outside the test set, then get an inference program that gives the same answers.

    A program that fails its trial goes back to the expert with what was wrong, a bounded number of times; the last
    word is the builtin expert's.
    """
    task, prepared, _ = desk.framed(state["brief"])
    candidates = desk.log.candidates(state.get("candidates_version", 0))
    chosen = chosen_members(candidates, state["best"])
    probe = _probe_rows(desk, prepared)
    members, receipts = await fit_members(
        desk,
        task,
        chosen,
        features=prepared.features,
        train=prepared.train_all,
        probe=desk.artifacts.put_frame(pd.DataFrame({"row": probe.astype("float64")})),
        role="operations",
    )
    weights = sum(member.weight for member in members)
    expected = np.asarray(
        sum(
            member.weight / weights * desk.artifacts.get_array(receipt.outputs["probe.npy"])
            for member, receipt in zip(members, receipts, strict=True)
        )
    )
    rows = desk.features(prepared).iloc[probe].reset_index(drop=True)
    code, checks, problems = await _inference(desk, task, chosen, members, prepared, rows, expected)
    for check in checks:
        desk.say("check", "operations", **check.plain())
    return {
        "inference": {
            "program": desk.artifacts.put_text(code),
            "members": [member.plain() for member in members],
            "checks": [check.plain() for check in checks],
            "problems": problems,
        }
    }


def _probe_rows(desk: Workbench, prepared: Prepared) -> np.ndarray:
    """Evenly spread positions of real rows, the same every time."""
    return np.unique(np.linspace(0, prepared.rows - 1, min(PROBE_ROWS, prepared.rows)).astype(int))


async def _inference(
    desk: Workbench,
    task: Task,
    chosen: list[tuple[Candidate, float]],
    members: list[ReleaseMember],
    prepared: Prepared,
    rows: pd.DataFrame,
    expected: np.ndarray,
) -> tuple[str, list[Check], list[str]]:
    question = InferenceQuestion(
        task=task,
        members=[
            {"candidate": one.id, "weight": weight, "program": desk.artifacts.get_text(str(one.program))}
            for one, weight in chosen
        ],
    )
    expert = desk.expert("operations")
    writers = [desk.builtin] if expert.name == "builtin" else [expert] * (desk.settings.attempts - 1) + [desk.builtin]
    code = ""
    checks: list[Check] = []
    problems = ["no inference program was written"]
    for writer in writers:
        code = (await asyncio.to_thread(writer.ask, question)).code
        files = runtime_files(
            members,
            task=task,
            read_spec=desk.artifacts.get_json(prepared.read_spec),
            inference_code=code,
            artifacts=desk.artifacts,
        )
        checks, problems = await try_inference(desk, task, files, rows, expected)
        if not problems:
            break
        desk.note(f"the inference program failed its trial: {problems[0].strip().splitlines()[-1]}", "operations")
        question = question.model_copy(update={"problems": problems})
    return code, checks, problems
