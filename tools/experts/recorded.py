"""Puts every exchange with an expert on record, and makes what costs money an effect of the journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

from state.errors import ExpertError
from state.questions import Answer, Question
from state.records import content_key
from tools.experts import Expert
from tools.experts.excerpts import excerpt
from tools.experts.exchange import Exchange, answer_of

A = TypeVar("A", bound=Answer)

_NAMED = frozenset({"task", "profile", "code", "members", "parents"})
"""Long, and stored elsewhere: the record names their content."""


class ExchangeLog(Protocol):
    """Where exchanges are recorded: `RunLog`."""

    def put_exchange(
        self,
        role: str,
        expert: str,
        question: dict[str, Any],
        answer: dict[str, Any] | None,
        tokens_in: int = 0,
        tokens_out: int = 0,
        cost: float = 0.0,
        seconds: float = 0.0,
        cached: bool = False,
        error: str = "",
    ) -> int: ...

    def exchanges(self) -> list[dict[str, Any]]: ...


class PaidEffects(Protocol):
    """What makes an effect at most once: `Journal`."""

    def effect_now(self, key: str, kind: str, make: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], bool]: ...

    def takes_over(self, key: str) -> bool: ...


Effect = Callable[[str, str, Callable[[], dict[str, Any]]], tuple[dict[str, Any], bool]]


@runtime_checkable
class Telling(Protocol):
    """An expert that tells what an answer took: `LlmExpert`."""

    def exchange(self, question: Question[Any], paid: Effect | None = None) -> Exchange: ...


class RecordedExpert:
    """Any expert, with a row per exchange in the run's log; requests of an LLM go through the journal.

    A request that has finished is not made again by a replay after a crash, in a fork or in a repeated run: its reply
    comes from the journal, costs nothing and is recorded as cached. Only when the process died between the reply and its
    row here, so that no row shows what was paid, the replay's does.
    """

    def __init__(self, expert: Expert, runlog: ExchangeLog, journal: PaidEffects) -> None:
        self.name = expert.name
        self._expert = expert
        self._runlog = runlog
        self._journal = journal

    def ask(self, question: Question[A]) -> A:
        """Ask the expert. Writes one row to the log, also when no answer came. Raises ExpertError."""
        started = time.monotonic()
        try:
            if isinstance(self._expert, Telling):
                exchange = self._expert.exchange(question, self._paid)
                self._record_exchange(question, exchange)
                return answer_of(exchange, question)
            answer = self._expert.ask(question)
        except ExpertError as error:
            if not isinstance(self._expert, Telling):
                self._record(question, None, time.monotonic() - started, error.message)
            raise
        self._record(question, answer.plain(), time.monotonic() - started)
        return answer

    def _paid(self, key: str, kind: str, make: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], bool]:
        """A reply through the journal, and whether what it cost is on record already, here or with another run."""
        result, reused = self._journal.effect_now(key, kind, make)
        return result, reused and not (self._journal.takes_over(key) and key not in self._shown())

    def _shown(self) -> set[str]:
        """Keys of the replies that this run's log shows as paid."""
        turns = (turn for one in self._runlog.exchanges() for turn in one["question"].get("turns", []))
        return {turn.get("key", "") for turn in turns if not turn["reused"]}

    def _record(self, question: Question[Any], answer: dict[str, Any] | None, seconds: float, error: str = "") -> None:
        self._runlog.put_exchange(
            question.role, self.name, asked(question), answer, seconds=round(seconds, 3), error=error
        )

    def _record_exchange(self, question: Question[Any], exchange: Exchange) -> None:
        """One row. The price column holds 0 where no price is known; `price` in the question's data then says so."""
        turns = [turn.plain() for turn in exchange.turns]
        self._runlog.put_exchange(
            question.role,
            self.name,
            {
                **asked(question),
                "prompt": exchange.prompt,
                "turns": turns,
                "price": "unknown" if exchange.cost is None else "listed",
            },
            exchange.answer,
            tokens_in=exchange.tokens_in,
            tokens_out=exchange.tokens_out,
            cost=exchange.cost or 0.0,
            seconds=exchange.seconds,
            cached=exchange.cached,
            error=exchange.error,
        )


def asked(question: Question[Any]) -> dict[str, Any]:
    """A question in brief, as plain data: small fields as they are, long ones as the key of their content."""
    facts = excerpt(question)
    for name in _NAMED & facts.keys():
        facts[name] = {"content": content_key(getattr(question, name))}
    return {"type": type(question).__name__, "asked": facts}


__all__ = ["ExchangeLog", "PaidEffects", "RecordedExpert", "asked"]
