"""Driving runs: start, resume, answer. The one place where graph, checkpointer, lock, budget and signals meet."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from typing import Any, Literal

from langgraph.errors import GraphDrained
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import RunControl
from langgraph.types import Command

from graphs.desks import reclaim
from graphs.modeling import RECURSION_LIMIT, build_graph
from graphs.rebuilding import before_driving, begin_again, refuse_rebuild, tell_damage
from graphs.signals import listening, run_async
from graphs.steps import keep_manifest
from graphs.summary import ending, summarise
from state.errors import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_PAUSED,
    EXIT_WAITING,
    DiskFull,
    ModelwrightError,
    RunPaused,
    UsageError,
    VersionMismatch,
)
from state.records import to_plain
from state.settings import RESUME_MAY_CHANGE, Settings
from tools.budget import Budget
from tools.checkpointbase import GraphGuard
from tools.checkpoints import open_saver
from tools.crash import crash_point
from tools.drivers import drive_run
from tools.intake.request import Request, check_request
from tools.places import run_place
from tools.pruning import tidy_on_resume
from tools.runs import register_run
from tools.sandbox import begin_trial, tier
from tools.store import RunRow, open_catalogue
from tools.workbench import Listener, Workbench, close_workbench, open_workbench

Status = Literal["done", "rejected", "waiting", "paused", "failed"]
_EXIT_CODES: dict[Status, int] = {
    "done": EXIT_DONE,
    "rejected": EXIT_DONE,
    "waiting": EXIT_WAITING,
    "paused": EXIT_PAUSED,
    "failed": EXIT_FAILED,
}


@dataclass(frozen=True)
class Outcome:
    """How an invocation of a run ended."""

    run_id: str
    name: str
    status: Status
    waiting: list[dict[str, Any]] = field(default_factory=list)
    """Open questions: {id, gate, question, …}; answer them with `resume(..., answers={id: answer})`."""
    summary: dict[str, Any] = field(default_factory=dict)
    """What the run came to: {best, title, metric, score, low, high, test, folder, report, candidates, …}."""

    @property
    def exit_code(self) -> int:
        return _EXIT_CODES[self.status]


def start(
    settings: Settings,
    *,
    frame: Any = None,
    listener: Listener | None = None,
    began: float | None = None,
) -> Outcome:
    """Check the input and drive a new run until it is done, waits for a person, or is paused.

    frame: a DataFrame, or a table that is read already, instead of `settings.data`. began: `time.monotonic()` at which
    the command started, so that the time limit covers the whole command. Raises InputError with every problem before
    anything is written.
    """
    begin_trial(settings)
    request = check_request(settings, _table(frame))
    run_id = str(uuid.uuid4())
    catalogue = open_catalogue()
    run = register_run(catalogue, run_id, settings)
    catalogue.close()
    crash_point("after-register")
    drive = _drive(run, settings, {}, request=request, listener=listener, began=began)
    del request, frame
    return run_async(drive)


def resume(
    reference: str = "last",
    *,
    answers: dict[str, Any] | None = None,
    overrides: dict[str, Any] | None = None,
    rebuild: bool = False,
    listener: Listener | None = None,
    began: float | None = None,
) -> Outcome:
    """Go on with an interrupted, paused or waiting run.

    reference: name, id prefix or `last`. answers: interrupt id → answer. overrides: settings that `resume` may change;
    each is recorded. rebuild: go through the run again from its beginning, finished or not; its database is kept aside.
    Finished work is answered from the journal. Raises VersionMismatch when the graph has changed, StoreError when the
    run's database is not what it was, naming the way out.
    """
    catalogue = open_catalogue()
    run = catalogue.find_run(reference)
    catalogue.close()
    if rebuild:
        refuse_rebuild(run, changed=bool(overrides or answers))
        settings = Settings.model_validate(run.settings)
        return run_async(_drive(run, settings, {}, rebuild=True, listener=listener, began=began))
    if run.status == "done" or run.status == "rejected":
        return Outcome(run.id, run.name, run.status, summary=run.summary)
    settings = _overridden(Settings.model_validate(run.settings), overrides or {})
    return run_async(
        _drive(run, settings, None, answers=answers or {}, overrides=overrides or {}, listener=listener, began=began)
    )


def _table(frame: Any) -> Any:
    if frame is None:
        return None
    from tools.intake.table import Table, table_from_frame

    return frame if isinstance(frame, Table) else table_from_frame(frame)


def _overridden(settings: Settings, overrides: dict[str, Any]) -> Settings:
    if refused := sorted(set(overrides) - RESUME_MAY_CHANGE):
        raise UsageError(
            f"resume cannot change {', '.join(refused)}: finished work depends on it",
            hint=f"it may change {', '.join(sorted(RESUME_MAY_CHANGE))}; start a new run for the rest",
        )
    return Settings.model_validate({**settings.model_dump(), **overrides})


async def _drive(
    run: RunRow,
    settings: Settings,
    graph_input: dict[str, Any] | None,
    *,
    request: Request | None = None,
    answers: dict[str, Any] | None = None,
    overrides: dict[str, Any] | None = None,
    rebuild: bool = False,
    listener: Listener | None = None,
    began: float | None = None,
) -> Outcome:
    reclaim(run.id)
    with drive_run(run.id) as drive:
        if graph_input is None or rebuild:
            # It was read before the lock was ours, and whoever held that may have driven the run on until then.
            run = _as_it_stands(run)
            if not rebuild and (run.status == "done" or run.status == "rejected"):
                return Outcome(run.id, run.name, run.status, summary=run.summary)
            settings = _overridden(Settings.model_validate(run.settings), overrides or {})
        damaged = before_driving(run) if graph_input is None else []
        if graph_input is None or rebuild:
            tidy_on_resume(run.id)
        run, told = begin_again(run) if rebuild else (run, "")
        budget = Budget(settings.time_limit, spent=run.active_seconds, began=began)
        try:
            desk = open_workbench(run.id, settings, budget=budget)
            drive.when_lost = desk.abandon
            budget.persist = lambda seconds: desk.catalogue.add_active_seconds(run.id, seconds)
            desk.request, request = request, None  # the analyst lets go of it, and then nobody holds it
            if listener is not None:
                desk.listeners.append(listener)
            _tell_session(desk, run, overrides or {}, told)
            tell_damage(desk, damaged)
            desk.catalogue.update_run(run.id, status="running", settings=settings.model_dump(mode="json"))
            keep_manifest(desk)
            async with open_saver(run_place(run.id)) as saver:
                outcome = await _invoke(run, desk, build_graph(saver), graph_input, answers or {})
            keep_manifest(desk)
            return outcome
        finally:
            try:
                budget.save()
            finally:  # also when the run was lost to another process, which refuses the write
                close_workbench(run.id)


def _tell_session(desk: Workbench, run: RunRow, overrides: dict[str, Any], told: str) -> None:
    """Say in the run's log that a process drives it from here on, and with what. told: of a rebuild; "" without one."""
    settings = desk.settings
    desk.say(
        "session",
        "",
        run_id=run.id,
        name=run.name,
        time_limit=settings.time_limit,
        spent=round(run.active_seconds, 2),
        jobs=desk.slots,
        sandbox=tier(settings.sandbox),
        expert=settings.expert,
        experts=settings.experts,
        pid=os.getpid(),
    )
    if settings.name and run.name != settings.name:
        desk.note(f"another run is called {settings.name!r}, so this one is {run.name!r}")
    for name, value in overrides.items():
        desk.say("override", "", f"{name} is now {value}", name=name, value=value)
    if told:
        desk.note(told)


def _as_it_stands(run: RunRow) -> RunRow:
    """The run's row as it is now. Raises NotFound when the run was removed meanwhile."""
    catalogue = open_catalogue()
    try:
        return catalogue.run(run.id)
    finally:
        catalogue.close()


async def _invoke(
    run: RunRow,
    desk: Workbench,
    graph: CompiledStateGraph[Any, Any, Any, Any],
    graph_input: dict[str, Any] | None,
    answers: dict[str, Any],
) -> Outcome:
    """One invocation of the graph, and what the catalogue says about the run afterwards."""
    config: Any = {"configurable": {"thread_id": run.id}, "recursion_limit": RECURSION_LIMIT}
    control = RunControl()
    status: Status = "failed"
    stops: list[str] = []
    try:
        graph_input = await _input(graph, config, graph_input, answers, desk)
        with listening(desk, control, stops):
            await graph.ainvoke(
                graph_input, config, context=desk.settings, durability="sync", control=control, version="v2"
            )
        state = await graph.aget_state(config)
        waiting = _questions(state)
        status = "waiting" if waiting else ending(state.values)
        for question in waiting:
            desk.say("ask", "approver", question["question"], **question)
        return _outcome(run, desk, status, state.values, waiting)
    except (GraphDrained, RunPaused):
        status = "paused"
        return _outcome(run, desk, status, (await graph.aget_state(config)).values, [])
    except _Waiting as waiting_still:
        status = "waiting"
        return _outcome(run, desk, status, waiting_still.values, waiting_still.questions)
    except (VersionMismatch, UsageError):  # refused before anything was done, so the run stands where it stood
        status = "waiting" if run.status == "waiting" else "paused"
        raise
    except DiskFull:
        status = "paused"
        raise
    except ModelwrightError as error:
        if len(stops) > 1:  # the programs were ended on request, whatever error came of it
            status = "paused"
            return _outcome(run, desk, status, (await graph.aget_state(config)).values, [])
        desk.say("note", "", f"the run failed: {error.message}")
        raise
    finally:
        crash_point("before-status")
        desk.catalogue.update_run(run.id, status=status)
        crash_point("after-status")


class _Waiting(Exception):
    """The run waits for an answer that was not given."""

    def __init__(self, values: dict[str, Any], questions: list[dict[str, Any]]) -> None:
        super().__init__("waiting")
        self.values = values
        self.questions = questions


async def _input(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    config: Any,
    graph_input: dict[str, Any] | None,
    answers: dict[str, Any],
    desk: Workbench,
) -> Any:
    """What the graph is invoked with: the start, answers, or nothing but 'go on'."""
    if isinstance(graph.checkpointer, GraphGuard):  # before any question is looked at, which a migration may change
        await graph.checkpointer.acheck_graph(desk.run_id)
    state = await graph.aget_state(config)
    if not state.values and not state.next:
        return graph_input if graph_input is not None else {}
    questions = _questions(state)
    answers = _to_open_questions(answers, questions, desk)
    if not questions:
        return None
    answers = {**answers, **_given_before(questions, answers, desk)}
    given = {question["id"]: answers[question["id"]] for question in questions if question["id"] in answers}
    if not given:
        # Settings may have closed the gate since: then the question answers itself.
        open_gates = [question for question in questions if question["gate"] in desk.settings.review]
        if open_gates:
            raise _Waiting(state.values, questions)
        given = {question["id"]: {"action": "approve"} for question in questions}
    for identity, answer in given.items():
        desk.log.add_event("given", "", "", {"id": identity, "answer": to_plain(answer)})
    return Command(resume=given)


def _to_open_questions(answers: dict[str, Any], questions: list[dict[str, Any]], desk: Workbench) -> dict[str, Any]:
    """Answers to questions that are open. The same answer given once more changes nothing, and that is told.

    Raises UsageError for an id that nobody asked, and for another answer to a question that was answered.
    """
    late = sorted(set(answers) - {question["id"] for question in questions})
    events = desk.log.events() if late else []
    asked = {event["data"].get("id") for event in events if event["kind"] == "ask"}
    known = {event["data"]["id"]: event["data"]["answer"] for event in events if event["kind"] == "given"}
    for one in late:
        if one not in asked:
            raise UsageError(
                f"no open question has the id {one!r}",
                hint=_open_ones(questions),
            )
        if one not in known:
            raise UsageError(
                f"question {one!r} is not open any more: it was answered elsewhere, or is asked under another id now",
                hint=_open_ones(questions),
            )
        if known[one] != to_plain(answers[one]):
            raise UsageError(
                f"question {one!r} was answered already, and differently: {known[one]!r}",
                hint="what followed from that answer stands; `modelwright fork` goes back to the question with another one",
            )
        desk.note(f"question {one} was answered already: this answer changes nothing")
    return {name: answer for name, answer in answers.items() if name not in late}


def _open_ones(questions: list[dict[str, Any]]) -> str:
    return "open: " + (", ".join(f"{question['id']} ({question['gate']})" for question in questions) or "none")


def _given_before(
    questions: list[dict[str, Any]], answers: dict[str, Any], desk: Workbench
) -> dict[str, dict[str, Any]]:
    """Answers that were on record when a process died, before the graph had taken them: nobody is asked twice.

    A question that was put once more after its answer, since that could not be carried out, is open again. Raises
    UsageError when another answer comes now: what the first one led to may be on record already.
    """
    events = desk.log.events()
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["kind"] == "given":
            found[event["data"]["id"]] = event["data"]["answer"]
        elif event["kind"] == "ask":
            found.pop(event["data"].get("id"), None)
    found = {question["id"]: found[question["id"]] for question in questions if question["id"] in found}
    for identity, answer in found.items():
        if identity in answers and to_plain(answers[identity]) != answer:
            raise UsageError(
                f"question {identity!r} was answered already, and differently: {answer!r}",
                hint="`modelwright resume` goes on with that answer; `modelwright fork` goes back to the question",
            )
    return found


def _questions(state: Any) -> list[dict[str, Any]]:
    return [{"id": one.id, **one.value} for one in state.interrupts]


def _outcome(
    run: RunRow, desk: Workbench, status: Status, values: dict[str, Any], waiting: list[dict[str, Any]]
) -> Outcome:
    summary = summarise(desk, values)
    desk.catalogue.update_run(run.id, summary=summary)
    desk.say("finished", "", status=status, summary=summary)
    return Outcome(run.id, run.name, status, waiting, summary)
