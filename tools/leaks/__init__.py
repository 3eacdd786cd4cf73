"""The mechanical leak review: one module per subject, each check a function that returns a Check with its Findings.

    sides        the prepared data on both sides of every border, and how checks tell what they found
    duplicates   rows that repeat across a border          near      rows that nearly do
    entities     the same group or entity on both sides    moments   time order, random splits of a moving target
    future       columns made from later values            giveaways columns that tell the target, alone or as a pair
    drift        training and sealed rows told apart       regroup   dealing folds anew, with repeated rows on one side
    canary       programs that score on shuffled labels    others    programs that use other validation rows
    sanity       no better than a constant, far from the estimate
    trials       which checks with jobs are run in the time there is
    whole        everything, in full, on a finished run

What each check does, where its limits are and where its findings lead is told in docs/leaks.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from state.candidate import Check, Finding
    from state.profile import Profile
    from state.task import Prepared, Task
    from tools.leaks.sides import HasArtifacts


def run_leak_checks(
    desk: HasArtifacts, task: Task, prepared: Prepared, profile: Profile, *, full: bool = False
) -> tuple[list[Check], list[Finding]]:
    """All checks on the prepared data of a run; none runs a program. Reads artifacts, writes nothing.

    The label column of the sealed rows is not looked at. A finding about a column carries it as `data["column"]`;
    severity error means that it must go. full: look at as many rows as there are, within the wide bounds of each check.
    """
    from tools.leaks.borders import check_borders

    return check_borders(desk, task, prepared, profile, full=full)
