"""Where findings lead before the sealed test is opened: columns to take away, programs to write anew, what to refuse."""

from __future__ import annotations

from collections.abc import Sequence

from state.candidate import Finding
from state.task import Task


def columns_to_drop(findings: Sequence[Finding], task: Task) -> list[str]:
    """Columns that must go; none when nothing would be left to learn from."""
    named = {str(one.data["column"]) for one in findings if one.severity == "error" and "column" in one.data}
    columns = sorted(named & {feature.name for feature in task.features})
    return columns if len(columns) < len(task.features) else []


def programs_to_rewrite(findings: Sequence[Finding]) -> dict[str, str]:
    """Candidate → what is wrong with its program."""
    problems: dict[str, str] = {}
    for one in findings:
        if one.route == "fix" and "program" in one.data:
            problems.setdefault(str(one.data["program"]), one.text)
    return problems


def wants_regrouping(findings: Sequence[Finding]) -> tuple[bool, float | None]:
    """Whether the folds are to be dealt anew, and up to which distance rows count as copies (None: exact ones only)."""
    wanted = [one for one in findings if one.route == "fix" and "regroup" in one.data]
    reaches = [float(one.data["reach"]) for one in wanted if one.data.get("reach") is not None]
    return bool(wanted), max(reaches, default=None)


def refusals(findings: Sequence[Finding]) -> list[str]:
    """What forbids a release: findings that say so, and programs at fault that nobody could write anew."""
    return [
        one.text for one in findings if one.route == "reject" or (one.severity == "error" and "program" in one.data)
    ]
