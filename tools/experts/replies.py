"""From a model's text to a valid answer, or to the list of what is wrong with it.

Nothing here is trusted: text is capped and cleaned, JSON is repaired, fences are stripped, the record's own validation
decides, and then what the question makes checkable (ids, citations, a program that is complete Python) is checked.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Collection
from typing import Any

import json_repair
from pydantic import ValidationError

from state.questions import Answer, PlanQuestion, Program, Question, RepairQuestion
from state.search import Operation
from tools.experts.redaction import clean
from tools.experts.schemas import decode
from tools.syntax import parse_source

MAX_REPLY_BYTES = 200_000

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_PYTHON = frozenset({"", "py", "python", "python3"})
_MOST_PROBLEMS = 12
_OPERATORS = ("draft", "improve", "repair", "crossover")  # ensembles are the framework's to plan


class ReplyError(Exception):
    """A reply that holds no valid answer. `problems` are sentences the model can act on."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def read_reply(text: str, question: Question[Any], recipes: Collection[str] = ()) -> Answer:
    """The answer a reply holds. Raises ReplyError.

    recipes: names a plan may give as its recipe; without any, plans are to be written freely and name none.
    """
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_REPLY_BYTES:
        most = MAX_REPLY_BYTES // 1000
        raise ReplyError([f"the reply has {size // 1000} kB; at most {most} kB are read, so be brief"])
    text = clean(text).strip()
    if not text:
        raise ReplyError(["the reply was empty"])
    data = _prepare(_data(text, question), question, recipes)
    try:
        answer = question.answer.model_validate(decode(data, question.answer))
    except ValidationError as error:
        raise ReplyError(_sentences(error)) from None
    problems = _problems(answer, question, recipes)
    if problems:
        raise ReplyError(problems)
    return answer


def strip_fence(code: str) -> str:
    """Code without the Markdown fence a model wrapped it in; of several Python blocks the longest.

    Text that is valid Python as it stands is left alone: a docstring may well hold a fence.
    """
    if _syntax_problem(code) is None:
        return code
    blocks = _python_blocks(code)
    if blocks:
        return max(blocks, key=len)
    first, _, rest = code.lstrip().partition("\n")
    return rest if first.startswith(("```", "~~~")) else code


def _python_blocks(text: str) -> list[str]:
    return [match.group(3) for match in _FENCE.finditer(text + "\n") if match.group(2).lower() in _PYTHON]


def _data(text: str, question: Question[Any]) -> dict[str, Any]:
    """The JSON object in a reply; for a program also the one code block of a reply that is no JSON."""
    try:
        data = json.loads(text, strict=False)
    except ValueError:
        data = _from_prose(text, question)
    if not isinstance(data, dict):
        raise ReplyError(["the reply is not one JSON object; answer with the JSON object only, no prose around it"])
    cleaned = clean(data)  # escapes inside the JSON can hold what the text did not
    assert isinstance(cleaned, dict)
    return cleaned


def _from_prose(text: str, question: Question[Any]) -> Any:
    blocks = _python_blocks(text)
    if issubclass(question.answer, Program) and len(blocks) == 1 and not text.startswith("{"):
        return {"code": blocks[0], "notes": ""}
    fenced = [match.group(3) for match in _FENCE.finditer(text + "\n") if match.group(2).lower() == "json"]
    inner = fenced[0] if fenced else text
    start = inner.find("{")
    return json_repair.loads(inner[start:]) if start >= 0 else None


def _prepare(data: dict[str, Any], question: Question[Any], recipes: Collection[str]) -> dict[str, Any]:
    """Set what the framework knows better than the model, before validation."""
    if isinstance(question, PlanQuestion):
        return _prepare_plans(data, question, free=not recipes)
    if isinstance(data.get("code"), str):
        return {**data, "code": strip_fence(data["code"]).strip("\n") + "\n"}
    return data


def _prepare_plans(data: dict[str, Any], question: PlanQuestion, *, free: bool) -> dict[str, Any]:
    data = dict(data)
    if isinstance(data.get("iteration_plan"), dict):
        data["iteration_plan"] = {**data["iteration_plan"], "iteration": question.iteration}
    if isinstance(data.get("plans"), list):
        taken = {str(earlier.get("id")) for earlier in question.tried}
        plans = [_prepare_plan(plan, question.iteration, taken, free) for plan in data["plans"][: question.count]]
        if question.operations:  # that there are too few is told by `_plan_problems`
            pairs = zip(plans, question.operations, strict=False)
            plans = [_held(plan, operation, question) for plan, operation in pairs]
        data["plans"] = plans
    return data


def _held(plan: Any, operation: Operation, question: PlanQuestion) -> Any:
    """A plan held to the operation it is for: what it builds on is the search's to say. A model may cite more."""
    if not isinstance(plan, dict):
        return plan
    first, second = [*operation.parents, None, None][:2]
    held = {**plan, "operator": operation.operator, "parent": first, "other": second, "rows": operation.rows}
    open_ones = {finding.id for finding in question.findings}
    asked = [one for one in operation.cites if one in open_ones]
    if asked and isinstance(plan.get("cites"), list):
        held["cites"] = [*asked, *(one for one in plan["cites"] if one not in asked)]
    return held


def _prepare_plan(plan: Any, iteration: int, taken: set[str], free: bool) -> Any:
    """A plan with an id that is short, safe in a file name and new in its run."""
    if not isinstance(plan, dict):
        return plan
    stem = re.sub(r"^i\d+-", "", str(plan.get("id") or "").lower()) or str(plan.get("title") or "")
    slug = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:32].rstrip("-") or "plan"
    base = f"i{iteration}-{slug}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    settled = {**plan, "id": name, "parent": plan.get("parent") or None, "other": plan.get("other") or None}
    settled |= {"without": "", "rows": 0, "folds": 0, "grounds": []}
    return {**settled, "recipe": ""} if free else settled


def _problems(answer: Answer, question: Question[Any], recipes: Collection[str]) -> list[str]:
    if isinstance(answer, Program):
        return _program_problems(answer.code, question)
    if isinstance(question, PlanQuestion):
        return _plan_problems(answer.model_dump(), question, recipes)
    return []


def _program_problems(code: str, question: Question[Any]) -> list[str]:
    if not code.strip():
        return ["`code` is empty; it must hold the whole Python module"]
    problem = _syntax_problem(code)
    if problem is not None:
        return [problem]
    if isinstance(question, RepairQuestion) and code.strip() == question.code.strip():
        return ["`code` is the refused program unchanged; change what the problems name"]
    return []


def _syntax_problem(code: str) -> str | None:
    try:
        with warnings.catch_warnings():  # an odd escape in foreign code is not our warning to show
            warnings.simplefilter("ignore")
            parse_source(code)
    except SyntaxError as error:
        return f"`code` is not complete, valid Python: {error.msg} (line {error.lineno}); send the whole module again"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"`code` cannot be parsed as Python ({type(error).__name__}); send a simpler module"
    return None


def _plan_problems(answer: dict[str, Any], question: PlanQuestion, recipes: Collection[str]) -> list[str]:
    problems = [] if answer["plans"] else [f"`plans` is empty; {question.count} plans are wanted"]
    wanted = min(len(question.operations), question.count)
    if 0 < len(answer["plans"]) < wanted:
        said = f"`plans` has {len(answer['plans'])} of {wanted}"
        problems.append(f"{said}; give one plan for each of the operations, in their order")
    findings = sorted(finding.id for finding in question.findings)
    tried = sorted(str(earlier["id"]) for earlier in question.tried if earlier.get("id"))
    for number, plan in enumerate(answer["plans"]):
        place = f"plans.{number}"
        unknown = sorted(set(plan["cites"]) - set(findings))
        if unknown:
            problems.append(f"{place}.cites names {unknown!r}, which are no findings; the findings are {findings!r}")
        problems += [
            f"{place}.{role} {plan[role]!r} is no earlier candidate; use one of {tried!r} or null"
            for role in ("parent", "other")
            if plan[role] is not None and plan[role] not in tried
        ]
        if recipes and plan["recipe"] not in recipes:
            problems.append(f"{place}.recipe {plan['recipe']!r} is none of the recipes {sorted(recipes)!r}")
        if plan["operator"] not in _OPERATORS:
            problems.append(f"{place}.operator {plan['operator']!r} is not for a plan; use one of {list(_OPERATORS)!r}")
        if not (plan["title"].strip() and plan["rationale"].strip()):
            problems.append(f"{place} needs a title and a rationale that are not empty")
    return problems[:_MOST_PROBLEMS]


def _sentences(error: ValidationError) -> list[str]:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    sentences = [f"{'.'.join(str(part) for part in item['loc']) or 'reply'}: {item['msg']}" for item in found]
    rest = len(sentences) - _MOST_PROBLEMS
    return sentences[:_MOST_PROBLEMS] + ([f"and {rest} more problems of this kind"] if rest > 0 else [])


__all__ = ["MAX_REPLY_BYTES", "ReplyError", "read_reply", "strip_fence"]
