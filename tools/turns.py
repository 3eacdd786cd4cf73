"""Turns: one maker per key in this process, whichever thread or event loop it runs in."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

Scope = tuple[str, str, str]
"""Database, run (empty when all runs share) and key."""


class _Turn:
    """Who is at it, and what the others wait for."""

    def __init__(self, task: asyncio.Task[Any] | None) -> None:
        self.over: Future[None] = Future()
        self.thread = threading.get_ident()
        self.task = task


_turns: dict[Scope, _Turn] = {}
_turns_lock = threading.Lock()


def take_turn(scope: Scope, task: asyncio.Task[Any] | None) -> Future[None] | None:
    """None when the turn is ours now, else what to wait for before asking again.

    Raises RuntimeError when waiting could never end because the one to wait for is the caller itself.
    """
    with _turns_lock:
        turn = _turns.get(scope)
        if turn is None:
            _turns[scope] = _Turn(task)
            return None
        # A task waits for another task of its thread; a blocking caller there would keep it from ever ending.
        if turn.thread == threading.get_ident() and (task is None or turn.task is task):
            raise RuntimeError(
                f"the effect {scope[2]!r} asks for itself while it is being made; await `effect` instead"
            )
        return turn.over


def end_turn(scope: Scope) -> None:
    """Let the others ask again."""
    with _turns_lock:
        turn = _turns.pop(scope)
    turn.over.set_result(None)
