"""Asking a person: the open questions of a run as a table, and answers from prompts, options or a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphs.cli.output import number, print_json, progress, results
from state.errors import InputError, NotFound, Problem, UsageError


def answer_command(reference: str, given: dict[str, Any], *, show_only: bool, output_json: bool, began: float) -> None:
    """Answer the open question of a run and go on with it."""
    from graphs.api import open_run
    from graphs.cli.building import drive_resume

    run = open_run(reference)
    questions = run.waiting
    if not questions:
        raise UsageError(
            f"run {run.name!r} waits for nothing: it is {run.status}", hint="`modelwright ls` shows all runs"
        )
    question = questions[0]
    if show_only:
        print_json(question) if output_json else show_question(question, results())
        return
    answer = checked_answer(question, _answer(question, given))
    drive_resume(run.id, answers={question["id"]: answer}, overrides={}, output_json=output_json, began=began)


def _answer(question: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    if given["file"] is not None:
        return dict(_json_file(given["file"]))
    answer: dict[str, Any] = {"action": given["action"], "reason": given["reason"]}
    if question["gate"] == "plan" and given["action"] == "approve":
        added = _json_file(given["add"]) if given["add"] is not None else []
        answer |= {"keep": given["keep"], "drop": given["drop"], "edit": edits_of(given["edit"], question["plans"])}
        answer["add"] = added if isinstance(added, list) else [added]
    return answer


def _json_file(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise NotFound(f"{str(path)!r} cannot be read: {error.strerror}", hint="name a JSON file") from None
    except json.JSONDecodeError as error:
        raise InputError(Problem(f"no valid JSON: {error}", where=str(path))) from None


def edits_of(texts: list[str], plans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`plan.param=value` texts as PlanEdit data; the value is JSON where it can be, else text.

    plans: those of the question, {id, params, …}. A parameter of a group is named `plan.group.param`, or without its group
    where only one has it.
    """
    edits: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        plan, dot, name = place.partition(".")
        if not equals or not dot or not name:
            raise UsageError(
                f"--set takes PLAN.PARAM=VALUE, not {text!r}", hint="for instance --set i0-boosting.learning_rate=0.05"
            )
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError:
            parsed = value
        params: dict[str, Any] = next((one.get("params") or {} for one in plans if one["id"] == plan), {})
        place_in = edits.setdefault(plan, {"id": plan, "params": {}})["params"]
        *groups, last = _path(name, params)
        for group in groups:
            place_in = place_in.setdefault(group, {})
        place_in[last] = parsed
    return list(edits.values())


def _path(name: str, params: dict[str, Any]) -> list[str]:
    """The groups and the name of a parameter."""
    if "." in name or name in params:
        return name.split(".")
    groups = [group for group, values in params.items() if isinstance(values, dict) and name in values]
    return [*groups, name] if len(groups) == 1 else [name]


def checked_answer(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """The answer as plain data. Raises InputError naming every problem, before the run goes on."""
    from pydantic import ValidationError

    from state.answers import PlanAnswer, ReleaseAnswer, apply_answer
    from state.candidate import Plan

    try:
        if question["gate"] == "release":
            return ReleaseAnswer.model_validate(answer).plain()
        checked = PlanAnswer.model_validate(answer)
        if checked.action == "approve":
            plans = [Plan(id=row["id"], title=row["title"], rationale=row["why"]) for row in question["plans"]]
            apply_answer(plans, checked)
        return checked.plain()
    except ValidationError as error:
        raise InputError(
            [
                Problem(one["msg"], where=".".join(str(part) for part in one["loc"]) or "answer")
                for one in error.errors()
            ]
        ) from None
    except ValueError as error:
        raise InputError(
            Problem(str(error), where="answer", cure="`modelwright approve --show` lists the plans")
        ) from None


def show_question(question: dict[str, Any], console: Any) -> None:
    """The question, and for plans their table with an estimate of the cost."""
    from rich.table import Table
    from rich.text import Text

    console.print(Text(question["question"], style="bold"))
    if question.get("problem"):
        console.print(Text(f"! {question['problem']}", style="red"))
    if question["gate"] == "plan":
        table = Table(box=None, pad_edge=False, show_edge=False)
        for title in ("#", "id", "plan", "estimate", "why"):
            table.add_column(title, overflow="fold")
        for place, plan in enumerate(question["plans"], start=1):
            table.add_row(
                str(place),
                Text(plan["id"]),
                Text(plan["title"]),
                f"{plan['estimate_seconds']:.0f} s",
                Text(plan["why"]),
            )
        console.print(table)
        console.print(Text(f"about {question['estimate_seconds']:.0f} s of training in all"))
    else:
        test = question.get("test")
        if test:
            console.print(Text(f"sealed test {number(test['value'])} [{number(test['low'])}, {number(test['high'])}]"))
        console.print(Text(str(question.get("reason") or "")))
        for concern in question.get("concerns", []):
            console.print(Text(f"! {concern}"))


def ask_here(questions: list[dict[str, Any]]) -> dict[str, Any]:
    """Prompt for answers at the terminal. Empty when the person would rather answer later."""
    console = progress()
    answers: dict[str, Any] = {}
    for question in questions:
        show_question(question, console)
        choices = (
            "[Y]es / [k]eep / [d]rop / [e]dit / [n]o / [l]ater"
            if question["gate"] == "plan"
            else "[Y]es / [n]o / [l]ater"
        )
        while question["id"] not in answers:
            try:
                word = console.input(f"{choices} ", markup=False).strip()
                if word.lower() in {"l", "later"}:
                    return {}
                answers[question["id"]] = checked_answer(question, _typed(question, word, console))
            except (InputError, UsageError) as error:
                console.print(str(error), markup=False)
            except (EOFError, KeyboardInterrupt):  # whoever leaves the prompt answers later
                console.print()
                return {}
    return answers


def _typed(question: dict[str, Any], word: str, console: Any) -> dict[str, Any]:
    """What a typed word means: y, `k 1,3`, `d 2`, `e i0-boosting.rounds=100`, n."""
    letter, rest = (
        word[:1].lower(),
        word[1:].strip().removeprefix("eep").removeprefix("rop").removeprefix("dit").strip(),
    )
    if letter in {"", "y"}:
        return {"action": "approve"}
    if letter == "n":
        return {"action": "reject", "reason": console.input("why? ", markup=False).strip()}
    if question["gate"] == "plan" and letter in {"k", "d"}:
        numbered = {str(place): plan["id"] for place, plan in enumerate(question["plans"], start=1)}
        names = [numbered.get(part.strip(), part.strip()) for part in rest.split(",") if part.strip()]
        return {"action": "approve", "keep" if letter == "k" else "drop": names}
    if question["gate"] == "plan" and letter == "e":
        return {"action": "approve", "edit": edits_of(rest.split(), question["plans"])}
    raise UsageError(f"{word!r} is no answer", hint="y, k 1,3, d 2, e PLAN.PARAM=VALUE, n or l")
