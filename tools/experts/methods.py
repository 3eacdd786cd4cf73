"""The ways to ask a server for the form of an answer, and to read what comes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tools.experts.exchange import Method
from tools.experts.schemas import Form

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage

Message = tuple[str, str]
"""Role (system, user, assistant) and text."""

METHODS: tuple[Method, ...] = ("json_schema", "function_calling", "json_mode", "text")
"""Strictest first. A server that refuses one is asked in the next."""


def ask_for(method: Method, messages: list[Message], form: Form) -> tuple[list[Message], dict[str, Any]]:
    """Messages and request options that ask for the answer's form."""
    if method == "json_schema":
        wanted = {"name": form.name, "description": form.description, "schema": form.schema, "strict": True}
        return messages, {"response_format": {"type": "json_schema", "json_schema": wanted}}
    if method == "function_calling":
        function = {"name": form.name, "description": form.description, "parameters": form.schema}
        choice = {"type": "function", "function": {"name": form.name}}
        return messages, {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
    schema = json.dumps(form.schema, ensure_ascii=False)
    told = f"Answer with one JSON object and nothing else. Its JSON schema ({form.name}):\n{schema}"
    said = [(role, f"{text}\n\n{told}" if place == 0 else text) for place, (role, text) in enumerate(messages)]
    return said, {"response_format": {"type": "json_object"}} if method == "json_mode" else {}


def read_message(message: AIMessage, form: Form) -> tuple[str, str]:
    """Why the reply ended, and its text; the arguments of a function call are its text."""
    finish = str(message.response_metadata.get("finish_reason") or "")
    refusal = message.additional_kwargs.get("refusal")
    if refusal:
        return "refusal", str(refusal)
    for call in message.tool_calls:
        if call["name"] != form.name:
            return "other function", str(call["name"])
        return finish, json.dumps(call["args"], ensure_ascii=False)
    for broken in message.invalid_tool_calls:
        return finish, str(broken["args"] or "")
    return finish, str(message.text)


__all__ = ["METHODS", "Message", "ask_for", "read_message"]
