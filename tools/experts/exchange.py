"""The record of a question put to a language model: replies, what was wrong with them, tokens and money."""

from __future__ import annotations

from typing import Any, Literal, TypeVar, cast

from pydantic import Field

from state.errors import ExpertError
from state.questions import Answer, Question
from state.records import Record

A = TypeVar("A", bound=Answer)

Method = Literal["json_schema", "function_calling", "json_mode", "text"]
"""How the form of the answer was asked for."""


class Reply(Record):
    """What a server said. Plain data, so that the journal can keep it."""

    text: str
    finish: str
    """stop, tool_calls, length, content_filter, refusal, other function, or empty when the server gave no reason."""
    tokens_in: int
    tokens_out: int
    estimated: bool = False
    """True when the server reported no usage and the tokens are counted as characters / 4."""
    method: Method
    seconds: float


class Turn(Record):
    """One reply within an exchange."""

    reply: Reply
    reused: bool
    key: str = ""
    """The reply's key in the journal, when it went through one."""
    problems: list[str] = Field(default_factory=list)
    """Why the reply could not be used; empty for the one that was."""


class Exchange(Record):
    """A question put to a model, with everything a record of it needs. `error` is set when no answer came of it."""

    answer: dict[str, Any] | None = None
    error: str = ""
    hint: str = ""
    prompt: dict[str, str]
    """{system, user, template, digest}."""
    turns: list[Turn]
    tokens_in: int
    tokens_out: int
    cost: float | None
    """US dollars of what was paid now: reused replies cost nothing. None when the price is unknown."""
    cached: bool
    """True when every reply was reused."""
    seconds: float


def answer_of(exchange: Exchange, question: Question[A]) -> A:
    """The answer an exchange ended with. Raises ExpertError when it ended without."""
    if exchange.answer is None:
        raise ExpertError(exchange.error, hint=exchange.hint)
    return cast("A", question.answer.model_validate(exchange.answer))


__all__ = ["Exchange", "Method", "Reply", "Turn", "answer_of"]
