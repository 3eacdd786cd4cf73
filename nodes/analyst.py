"""The analyst: reads the data and profiles it."""

from __future__ import annotations

from typing import Any

from state.brief import Brief
from state.modeling import ModelingState
from tools.inputs import remember, request_of
from tools.intake.sniff import file_hash
from tools.profiling.profile import profile_table
from tools.targetkinds import implied_kind
from tools.workbench import Workbench


def analyst(state: ModelingState, desk: Workbench) -> dict[str, Any]:
    """Read and check the input, profile every column, keep table and profile as artifacts.

    Raises InputError with every problem of the input at once, before any work starts; also for a file that is no longer
    the one this run began with.
    """
    request = request_of(desk)
    table, settings = request.table, desk.settings
    profile = profile_table(
        table.frame,
        request.target,
        intent=settings.intent,
        kind=implied_kind(settings, table.frame[request.target]),
        time_column=settings.time_column,
        group_columns=settings.group_columns,
    )
    brief = Brief(
        settings=settings.model_dump(mode="json"),
        target=request.target,
        target_reason=request.target_reason,
        source=table.source_sha,
        table=desk.artifacts.put_frame(table.frame),
        test_table=None if request.test is None else desk.artifacts.put_frame(request.test),
        test_source="" if request.test is None else file_hash(settings.test_data),
        read_spec=desk.artifacts.put_json(table.spec),
        reading_notes=table.notes,
        profile=desk.artifacts.put_json(profile.plain()),
    )
    remember(desk, request, brief.plain())
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
