"""The examiner: frames the task, chooses the metric, deals the folds, seals the test set."""

from __future__ import annotations

from typing import Any

from state.modeling import ModelingState
from tools.framing import frame_task
from tools.labels import canonical_labels
from tools.several import several_of_brief
from tools.splits import deal, prepare
from tools.workbench import Workbench


def examiner(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Turn intent and profile into a Task, and the table into prepared data. Deterministic for a seed.

    Writes the artifacts of `Prepared`; after this no one needs the original file.
    """
    brief = desk.brief(state["brief"])
    assert brief.table is not None
    assert brief.profile is not None
    assert brief.read_spec is not None
    frame = desk.artifacts.get_frame(brief.table)
    several = several_of_brief(desk.settings, frame, brief.target)
    task = frame_task(desk.settings, frame, desk.profile(brief.profile), brief.target, several)
    labels, labelled = canonical_labels(frame[task.target], task.dealt_as)
    frame = frame if labelled.all() else frame[labelled].reset_index(drop=True)
    test = None
    if brief.test_table is not None:
        given = desk.artifacts.get_frame(brief.test_table)
        test_labels, test_labelled = canonical_labels(given[task.target], task.dealt_as)
        test = (given[test_labelled].reset_index(drop=True), test_labels)
    prepared = prepare(
        frame,
        labels,
        deal(task, frame, labels, seed=desk.settings.seed),
        task,
        desk.artifacts,
        read_spec=brief.read_spec,
        source=brief.source,
        test=test,
    )
    framed = brief.but(task=task.plain(), prepared=prepared.plain())
    facts: dict[str, Any] = {
        "kind": task.kind,
        "target": task.target,
        "metric": task.metric.name,
        "direction": task.metric.direction,
        "split": task.split.plain(),
        "features": len(task.features),
        "excluded": task.excluded,
        "rows": prepared.rows,
        "sealed_rows": prepared.sealed_rows,
        "decisions": task.decisions,
    }
    desk.say("task", "examiner", **facts)
    desk.say("data", "examiner", source=prepared.source, prepared=prepared.plain())
    return {"brief": desk.artifacts.put_json(framed.plain()), "task": facts}
