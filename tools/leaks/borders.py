"""All checks on the prepared data, in the order a person reads them; none runs a program."""

from __future__ import annotations

from state.candidate import Check, Finding
from state.profile import Profile
from state.task import Prepared, Task
from tools.leaks import drift, duplicates, entities, future, giveaways, moments, near
from tools.leaks.sides import HasArtifacts, Result, open_sides


def check_borders(
    desk: HasArtifacts, task: Task, prepared: Prepared, profile: Profile, *, full: bool = False
) -> tuple[list[Check], list[Finding]]:
    """See `tools.leaks.run_leak_checks`. Cost is bounded whatever the table: about a second, in full a minute."""
    sides = open_sides(desk.artifacts, task, prepared, full=full)
    results: list[Result] = [
        duplicates.check_duplicates(sides),
        near.check_near_duplicates(sides, task),
        entities.check_groups(sides, task, profile),
        moments.check_time(sides, task),
        moments.check_time_travel(sides, task, profile),
        future.check_future(sides, task),
        giveaways.check_columns(sides, task),
        giveaways.check_pairs(sides, task),
        drift.check_drift(sides, task),
    ]
    return [check for check, _ in results], [finding for _, findings in results for finding in findings]
