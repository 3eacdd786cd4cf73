"""The analyst: reads the data and profiles it."""

from __future__ import annotations

from typing import Any

from state.brief import Brief
from state.modeling import ModelingState
from tools.inputs import remember, request_of
from tools.intake.sniff import file_hash
from tools.profiling.profile import profile_table
from tools.several import held_back, profile_of_several, with_summary
from tools.targetkinds import implied_kind
from tools.workbench import Workbench


def analyst(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Read and check the input, profile every column, keep table and profile as artifacts.

    Raises InputError with every problem of the input at once, before any work starts; also for a file that is no longer
    the one this run began with.
    """
    request = request_of(desk)
    table, settings = request.table, desk.settings
    several = request.several
    frame = table.frame if several is None else with_summary(table.frame, several)
    profile = profile_table(
        frame if several is None else frame.drop(columns=held_back(several)),
        request.target,
        intent=settings.intent,
        kind=implied_kind(settings, frame[request.target]) if several is None else "regression",
        time_column=settings.time_column,
        group_columns=settings.group_columns,
    )
    if several is not None:
        profile = profile_of_several(profile, frame, several)
    test = request.test if several is None or request.test is None else with_summary(request.test, several)
    brief = Brief(
        settings=settings.model_dump(mode="json"),
        target=request.target,
        target_reason=request.target_reason,
        source=table.source_sha,
        table=desk.artifacts.put_frame(frame),
        test_table=None if test is None else desk.artifacts.put_frame(test),
        test_source="" if test is None else file_hash(settings.test_data),
        read_spec=desk.artifacts.put_json(table.spec),
        reading_notes=table.notes,
        profile=desk.artifacts.put_json(profile.plain()),
    )
    remember(desk, request, brief.plain())
    desk.request = None  # what comes next reads the stored copy; a large table is not held twice
    for note in [request.target_reason, *table.notes, *profile.notes]:
        if note:
            desk.note(note, "analyst")
    desk.say("profile", "analyst", rows=profile.rows, columns=len(profile.columns), traits=profile.traits)
    return {
        "brief": desk.artifacts.put_json(brief.plain()),
        "profile": {
            "ref": brief.profile,
            "rows": profile.rows,
            "columns": len(profile.columns),
            "target": request.target,
            "traits": profile.traits,
        },
    }
