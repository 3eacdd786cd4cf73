"""The JSON schema an answer is asked with: strict, as servers that constrain decoding want it.

Such servers demand that every property is required and no object is open. An open object of ours (a plan's `params`)
therefore travels as text holding JSON, and is opened again by `decode`.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import json_repair

from state.questions import Answer, Question
from tools.experts.redaction import clean

_LEFT_OUT = frozenset({"default", "title", "properties", "$defs"})
_OPEN_HINT = 'A JSON object written as text, such as {"max_depth": 6}; {} when there is nothing to say.'


class Form(NamedTuple):
    """What a reply must look like."""

    name: str
    """Unique per question: PlanAnswer, ProgramAnswer, RepairAnswer, InferenceAnswer, ReviewAnswer."""
    description: str
    schema: dict[str, Any]


def form_of(question: Question[Any]) -> Form:
    """The form of the answer to a question."""
    kind = type(question)
    name = kind.__name__.removesuffix("Question") + "Answer"
    description = " ".join((kind.__doc__ or "").split())
    return Form(name, description, {"title": name, "description": description, **strict_schema(kind.answer)})


def strict_schema(record: type[Answer]) -> dict[str, Any]:
    """The record's JSON schema with all properties required, no open object, and no defaults."""
    schema = _strict(record.model_json_schema())
    assert isinstance(schema, dict)
    return schema


def _strict(node: Any) -> Any:
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if _is_open(node):
        return {"type": "string", "description": node.get("description", _OPEN_HINT)}
    result = {key: _strict(item) for key, item in node.items() if key not in _LEFT_OUT}
    if "$defs" in node:
        result["$defs"] = {name: _strict(item) for name, item in node["$defs"].items()}
    if "properties" in node:  # property names are data here: a field called `title` must survive
        result.pop("description", None)  # the record's docstring, written for whoever reads our code
        result["properties"] = {name: _strict(item) for name, item in node["properties"].items()}
        result["required"] = list(node["properties"])
        result["additionalProperties"] = False
    return result


def _is_open(node: dict[str, Any]) -> bool:
    return node.get("type") == "object" and "properties" not in node


def decode(data: Any, record: type[Answer]) -> Any:
    """A reply's data with every open object, which travelled as text, opened; anything else is left as it is."""
    schema = record.model_json_schema()
    return _decode(data, schema, schema.get("$defs", {}))


def _decode(data: Any, node: dict[str, Any], definitions: dict[str, Any]) -> Any:
    if "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[-1]]
    if _is_open(node):
        return _opened(data)
    if isinstance(data, dict) and "properties" in node:
        known = node["properties"]
        return {name: _decode(item, known[name], definitions) if name in known else item for name, item in data.items()}
    if isinstance(data, list) and isinstance(node.get("items"), dict):
        return [_decode(item, node["items"], definitions) for item in data]
    return data


def _opened(data: Any) -> Any:
    if data is None or (isinstance(data, str) and not data.strip()):
        return {}
    if not isinstance(data, str):
        return data
    try:
        value = json.loads(data)
    except ValueError:
        value = json_repair.loads(data)
    # What is no object even after repair goes on as it came, so that validation names it.
    return clean(value) if isinstance(value, dict) else data


__all__ = ["Form", "decode", "form_of", "strict_schema"]
