"""Who answers a role's questions: the Expert protocol."""

from __future__ import annotations

from typing import Protocol, TypeVar

from state.questions import Answer, Question

A = TypeVar("A", bound=Answer)


class Expert(Protocol):
    """Answers typed questions. Nodes cannot tell which expert they got. See tests/conformance/test_expert.py."""

    name: str
    """`builtin`, or `provider:model`."""

    def ask(self, question: Question[A]) -> A:
        """Answer a question with the record its class names.

        Raises ExpertError when no valid answer could be had.
        """
        ...


__all__ = ["Expert"]
