"""A second expert for when the first has no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from state.errors import ExpertError
from state.questions import Answer, Question
from tools.experts import Expert

A = TypeVar("A", bound=Answer)
Note = Callable[[str, str], None]
"""Told a sentence and the role it concerns; makes a "note" event."""


class FallbackExpert:
    """Asks `first`, and `second` when that gives no answer, telling `note` that it did. Bears the name of `first`."""

    def __init__(self, first: Expert, second: Expert, note: Note) -> None:
        self.name = first.name
        self._first = first
        self._second = second
        self._note = note

    def ask(self, question: Question[A]) -> A:
        """Answer a question. Raises ExpertError, with both reasons, when neither expert has an answer."""
        return self.ask_and_name(question)[0]

    def ask_and_name(self, question: Question[A]) -> tuple[A, str]:
        """The answer, and the name of the expert who gave it."""
        try:
            return self._first.ask(question), self._first.name
        except ExpertError as error:
            failed = error
        self._note(f"{failed.message}; the {self._second.name} expert answers instead", question.role)
        try:
            return self._second.ask(question), self._second.name
        except ExpertError as error:
            also = error.message
        raise ExpertError(f"{failed.message}; and {self._second.name}: {also}", hint=failed.hint)


def ask_and_name(expert: Expert, question: Question[A]) -> tuple[A, str]:
    """Any expert's answer, and the name of who gave it: after a fallback that is not the expert's own."""
    if isinstance(expert, FallbackExpert):
        return expert.ask_and_name(question)
    return expert.ask(question), expert.name


__all__ = ["FallbackExpert", "Note", "ask_and_name"]
