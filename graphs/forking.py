"""Forking a run: which step, what is to be different, what that means, and driving the fork on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from state.errors import NotFound, UsageError
from state.settings import Settings
from tools.artifacts import open_artifacts
from tools.forking import Edit, Origin, create_fork, reference_of
from tools.forkplans import Given, differing, edited_plans, plans_at
from tools.forksettings import again_of, checked_settings
from tools.history import History, Step
from tools.places import run_place
from tools.store import RunRow, open_catalogue, open_run_log

if TYPE_CHECKING:
    from graphs.session import Outcome
    from tools.workbench import Listener

At = int | str
"""Number of a step as `modelwright log` prints it, or the name of a role: the last step it did."""


@dataclass(frozen=True)
class ForkPlan:
    """A fork before it is made: where it begins, what is changed, and what therefore runs again."""

    origin: Origin
    edit: Edit
    changed: dict[str, Any]
    """Setting → its value in the fork, where it is another."""
    edited: list[str]
    """Ids of plans that were edited, added or taken out."""
    name: str = ""

    @property
    def step(self) -> Step:
        return self.origin.step

    def repeated(self) -> list[Step]:
        """Steps of the parent that the fork does not keep."""
        beside, _ = self.origin.beside()
        return [
            one
            for one in self.origin.steps
            if one.number >= self.step.number and not (one.candidate in beside and self._same_time(one))
        ]

    def _same_time(self, one: Step) -> bool:
        return self.origin.rows.root_of((one.namespace, one.checkpoint)) == self.origin.root

    def describe(self) -> dict[str, Any]:
        """What the fork would do, as plain data."""
        again = self.repeated()
        before = self.origin.run.settings
        return {
            "run": self.origin.run.name,
            "step": self.step.number,
            "role": self.step.role,
            "candidate": self.step.candidate,
            "changed": [
                {"setting": name, "from": before.get(name), "to": value, "again": again_of(name)}
                for name, value in self.changed.items()
            ],
            "plans": self.edited,
            "steps": [one.number for one in again],
            "roles": list(dict.fromkeys(one.role for one in again)),
            "trainings": sum(one.trainings + one.reused for one in again),
            "kept_trainings": sum(one.trainings + one.reused for one in self.origin.steps)
            - sum(one.trainings + one.reused for one in again),
            "spent": self.step.spent,
            "time_limit": self.edit.settings.time_limit,
        }


def plan_fork(
    reference: str,
    at: At,
    *,
    candidate: str | None = None,
    settings: Mapping[str, Any] | None = None,
    plan: Given | None = None,
    name: str = "",
) -> ForkPlan:
    """Check everything about a fork without making it.

    settings: name → value, of those in `tools/forksettings.py`. plan: see `tools/forkplans.py`; read at `approve_plan` and
    at an engineer's step only. Raises NotFound, UsageError, InputError or VersionMismatch, each naming what can be done instead.
    """
    run, history = _opened(reference)
    step = find_step(run, history.steps, at, candidate)
    origin = Origin(run, step, history.steps)
    _check_graph(origin)
    before = Settings.model_validate(run.settings)
    after, changed = checked_settings(before, settings or {}, step.role)
    if step.role == "analyst" and not after.data:
        raise UsageError(
            f"step {step.number} reads the table, and run {run.name!r} was built from one in memory",
            hint="fork at the examiner's step or later: from there on the table as it was read is kept",
        )
    edit, edited = _edit(origin, after, changed, plan)
    return ForkPlan(origin, edit, changed, edited, name)


def make_fork(planned: ForkPlan) -> RunRow:
    """Make the fork: a run of its own, paused just before the step."""
    catalogue = open_catalogue()
    try:
        return create_fork(catalogue, open_artifacts(), planned.origin, planned.edit, name=planned.name)
    finally:
        catalogue.close()


def fork(planned: ForkPlan, *, listener: Listener | None = None) -> Outcome:
    """Make the fork and drive it until it is done, waits for a person, or is paused."""
    from graphs import session

    return session.resume(make_fork(planned).id, listener=listener)


# ---- which step --------------------------------------------------------------------------------------------------


def find_step(run: RunRow, steps: Sequence[Step], at: At, candidate: str | None = None) -> Step:
    """The step a person means. Raises NotFound or UsageError, naming the steps there are."""
    hint = f"`modelwright log {run.name} --steps` lists them"
    if not steps:
        raise NotFound(
            f"run {run.name!r} has no steps yet", hint=f"`modelwright show {run.name}` tells where it stands"
        )
    branch = [step for step in steps if step.candidate == candidate] if candidate else list(steps)
    if not branch:
        names = sorted({step.candidate for step in steps if step.candidate})
        near = get_close_matches(candidate or "", names, n=1)
        raise NotFound(
            f"run {run.name!r} has no branch of a candidate {candidate!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names) or 'none'}",
        )
    text = str(at).strip()
    if not text.lstrip("-").isdigit():
        found = [step for step in branch if step.role == text]
        if found:
            return found[-1]
        roles = list(dict.fromkeys(step.role for step in branch))
        raise NotFound(f"no step of run {run.name!r} is called {text!r}", hint=f"there are {', '.join(roles)}; {hint}")
    step = next((step for step in steps if step.number == int(text)), None)
    if step is None:
        raise NotFound(f"run {run.name!r} has no step {text}: it has steps 1 to {steps[-1].number}", hint=hint)
    if candidate and step.candidate != candidate:
        ended = " which had ended by then" if step.number > branch[-1].number else ""
        raise UsageError(
            f"step {step.number} ({step.role}) does not lie in the branch of {candidate!r}{',' if ended else ''}{ended}",
            hint=f"the steps of that branch are {', '.join(f'{one.number} ({one.role})' for one in branch)}",
        )
    return step


def _opened(reference: str) -> tuple[RunRow, History]:
    catalogue = open_catalogue()
    try:
        run = catalogue.find_run(reference)
    finally:
        catalogue.close()
    log = open_run_log(run.id)
    try:
        return run, log.history()
    finally:
        log.close()


def _check_graph(origin: Origin) -> None:
    """Raises VersionMismatch unless the fork could be driven here, perhaps after a migration when it is resumed."""
    from graphs.migrations import MIGRATIONS
    from graphs.modeling import graph_identity
    from tools.checkpointbase import mismatch
    from tools.skew import way

    known, here = origin.main_values().get("graph_version"), graph_identity()
    if known is not None and way(MIGRATIONS, known, here.version) is None:
        raise mismatch(run_place(origin.thread), origin.run.name, known, origin.rows.recorded(known), here)


# ---- what is different -------------------------------------------------------------------------------------------


def _edit(origin: Origin, settings: Settings, changed: dict[str, Any], plan: Given | None) -> tuple[Edit, list[str]]:
    """The edit of the state, and the ids of the plans it changes."""
    state, in_branch, artifacts = origin.main_values(), bool(origin.step.namespace), open_artifacts()
    main: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    documents: list[Any] = []
    edited: list[str] = []
    if changed and "settings" in state:
        main["settings"] = settings.model_dump(mode="json")
        if "brief" in state:
            documents.append({**artifacts.get_json(state["brief"]), "settings": main["settings"]})
            renamed[state["brief"]] = reference_of(documents[-1])
    if plan is not None:
        before = plans_at(origin, artifacts)
        after = edited_plans(origin, before, plan, artifacts)
        edited = differing(before, after)
        main["plans"] = [one.plain() for one in after]
        if in_branch:
            documents.append(after[0].plain())
            renamed[origin.values()["plan"]] = reference_of(documents[-1])
            main["plans"] = [after[0].plain() if one["id"] == after[0].id else one for one in state["plans"]]
    told = {"role": origin.step.role, "candidate": origin.step.candidate, "settings": changed, "plans": edited}
    return Edit(settings, main, renamed, documents, told), edited
