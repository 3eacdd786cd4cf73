"""The journal: an effect that costs is made once, and afterwards answered from here.

An effect (a training, a scoring, a paid model call, a person's answer) has a content key. Per run and key the journal
holds one row, which goes

    [intent →] running → done(result)          or          running → failed(error)

Why a finished effect is not made again:

1. `done` is committed, with its result, before `effect` returns (SQLite, WAL, synchronous=FULL). So whatever a
   checkpoint, a log or a person has seen of a result is later than its row: after a kill at any moment, a step that is
   run again finds the row and gets the same result. It is the same to the last digit, since also the first caller is
   given what was stored, not what `make` returned.
2. Within a process, callers of one key take turns, whichever thread or event loop they are in, and each looks for the
   row in its turn. Between processes, one run has one driver (tools/locks.py), so a `running` row of our own run found
   in our turn belongs to a dead process, and making the effect again is right. Two different runs may make the same
   effect at the same moment; neither was finished when the other began, and each keeps its own row.
3. What is left is the moment between the end of an effect and its row. A kill there repeats the effect, unless `make`
   finds its own durable trace. Jobs have one: the supervisor writes the receipt before it reports. For a paid call it
   means that at most the calls in flight at the kill recur; their rows, left at `running`, are the evidence.

An answer prefers the run's own row, then the oldest, and rows stay: a run that is resumed gets what it got before, whichever
runs came in between. A fork has copies of its parent's finished rows. Only the rows of a run that a person removed go, and
of these only the ones no other run rests on (tools/references.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from state.errors import ModelwrightError
from state.records import to_plain
from tools.blocking import note_beside, seen_through
from tools.catalogue import Catalogue, now
from tools.crash import crash_point
from tools.database import clean, pack
from tools.turns import Scope, end_turn, take_turn

STATES = ("intent", "running", "done", "failed")
"""What a row may be."""

Result = dict[str, Any]
Judge = Callable[[Result], bool]

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger(__name__)

# Threads of its own: the default pool may be full of callers that wait for exactly the effect to be finished here.
_pool = ThreadPoolExecutor(4, thread_name_prefix="journal")


class Journal:
    """The effects of one run.

    fresh: answer from this run's own rows only, not from those of other runs.
    intact: tells whether a stored result can still be used, for instance whether its artifacts are still there. One
        that cannot is made again and replaced.
    tell: hears of rows that are damaged, and whose effects are therefore made again.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        run_id: str,
        fresh: bool = False,
        *,
        intact: Judge | None = None,
        tell: Callable[[str], None] = _logger.warning,
    ) -> None:
        self.database = catalogue.database
        self.run_id = run_id
        self.fresh = fresh
        self.intact = intact
        self.tell = tell
        self._made: set[str] = set()
        """Keys of what this process made, or has taken over."""

    async def effect(
        self,
        key: str,
        kind: str,
        make: Callable[[], Awaitable[Result]],
        *,
        keep: Judge | None = None,
        intent: Result | None = None,
    ) -> tuple[Result, bool]:
        """The effect's result as plain data, and whether it was answered from the journal.

        Writes the row before and after `make`, off the event loop. When `make` raises (or is cancelled) the row says
        failed and the exception goes on; a later call makes the effect again.
        keep: when it says no to a result, the result is returned but not kept as done, so that a later call makes the
            effect again. For ends that say nothing about the effect itself, such as a limit of this run.
        intent: what is to be known of the effect later, written before it is made.
        """
        scope = self._scope(key)
        while ahead := take_turn(scope, asyncio.current_task()):
            await asyncio.shield(asyncio.wrap_future(ahead))
        try:
            try:
                stored = await _off_loop(self._begin, key, kind, intent)
            except asyncio.CancelledError as error:  # the row may say running already
                await self._give_up(key, error)
                raise
            if stored is not None:
                return stored, True
            crash_point("before-effect")
            try:
                result = _plain_result(await make())
            except BaseException as error:  # goes on: the row only remembers that this attempt gave nothing
                await self._give_up(key, error)
                raise
            crash_point("after-effect")
            finished = await _off_loop(self._finish, key, result, keep)
            self._made.add(key)
            crash_point("after-journal")
            return finished, False
        finally:
            end_turn(scope)

    def effect_now(
        self, key: str, kind: str, make: Callable[[], Result], *, keep: Judge | None = None
    ) -> tuple[Result, bool]:
        """As `effect`, for code that is not async. Blocks; it may share keys with `effect` of other threads."""
        scope = self._scope(key)
        while ahead := take_turn(scope, None):
            ahead.result()
        try:
            stored = self._begin(key, kind)
            if stored is not None:
                return stored, True
            crash_point("before-effect")
            try:
                result = _plain_result(make())
            except BaseException as error:  # goes on, as in `effect`
                self._fail(key, error)
                raise
            crash_point("after-effect")
            finished = self._finish(key, result, keep)
            self._made.add(key)
            crash_point("after-journal")
            return finished, False
        finally:
            end_turn(scope)

    def intend(self, key: str, kind: str, decide: Callable[[], Result]) -> Result:
        """What this run decided about an effect before making it, such as the time it grants; decided once.

        A resumed run gets what was decided before the kill. It is no part of the key and of no concern to other runs.
        Of several that decide at the same moment the first to write counts, for all.
        """
        known = self.intention(key)
        if known is not None:
            return known
        # Not inside the transaction: who decides may wait for somebody who waits for the database, such as the budget.
        intent = pack(decide())
        with self.database.write(self.run_id) as db:
            known = self.intention(key)
            if known is not None:
                return known
            db.execute(
                "INSERT INTO journal (key, run_id, kind, state, attempt, intent, created) "
                "VALUES (?, ?, ?, 'intent', 0, ?, ?) ON CONFLICT (key, run_id) DO UPDATE SET intent = excluded.intent",
                [key, self.run_id, kind, intent, now()],
            )
        return _loaded(intent)

    def intention(self, key: str) -> Result | None:
        """What this run decided about an effect (`intend`), or None when it has not decided yet. Read-only."""
        rows = self.database.read("SELECT intent FROM journal WHERE key = ? AND run_id = ?", [key, self.run_id])
        return _loaded(rows[0]["intent"]) if rows and rows[0]["intent"] is not None else None

    def result(self, key: str) -> Result | None:
        """The stored result of a finished effect, or None. Read-only."""
        return self._stored(key)

    def takes_over(self, key: str) -> bool:
        """True once for a finished effect that an earlier process of this run made: it may have died before it told so.

        False for what this process made, for what another run made, and for a fork's copy of its parent's row.
        """
        if key in self._made:
            return False
        self._made.add(key)
        own = self.database.read(
            "SELECT number, host, pid, started FROM journal WHERE key = ? AND run_id = ? AND state = 'done'",
            [key, self.run_id],
        )
        if not own:
            return False
        row = own[0]
        older = "SELECT 1 FROM journal WHERE key = ? AND number < ? AND host = ? AND pid = ? AND started = ?"
        return not self.database.read(older, [key, row["number"], row["host"], row["pid"], row["started"]])

    def entries(self) -> list[dict[str, Any]]:
        """This run's rows, oldest first: {key, kind, state, attempt, error, host, pid, created, started, finished}."""
        return self.database.read(
            "SELECT key, kind, state, attempt, error, host, pid, created, started, finished FROM journal "
            "WHERE run_id = ? ORDER BY number",
            [self.run_id],
        )

    # ---- rows ----------------------------------------------------------------------------------------------

    def _begin(self, key: str, kind: str, intent: Result | None = None) -> Result | None:
        """The stored result, or None and the row says running.

        Results are judged before the transaction, which may hash gigabytes while nobody else waits to write. It only makes
        sure that no row was finished since, so that one that is whole is never undone.
        """
        packed = None if intent is None else pack(intent)
        unusable: set[_Version] = set()
        while True:
            stored = self._stored(key, unusable)
            if stored is not None:
                return stored
            with self.database.write(self.run_id) as db:
                if not {_version(row) for row in self._done(key)} <= unusable:
                    continue
                db.execute(
                    "INSERT INTO journal (key, run_id, kind, state, attempt, intent, host, pid, created, started) "
                    "VALUES (:key, :run, :kind, 'running', 1, :intent, :host, :pid, :now, :now) "
                    "ON CONFLICT (key, run_id) DO UPDATE SET state = 'running', attempt = journal.attempt + 1, "
                    "intent = coalesce(excluded.intent, journal.intent), "
                    "host = :host, pid = :pid, started = :now, finished = NULL, error = NULL, result = NULL, digest = NULL",
                    {
                        "key": key,
                        "run": self.run_id,
                        "kind": kind,
                        "intent": packed,
                        "host": socket.gethostname(),
                        "pid": os.getpid(),
                        "now": now(),
                    },
                )
                return None

    def _stored(self, key: str, unusable: set[_Version] | None = None) -> Result | None:
        """The first usable result. unusable: rows that were found to be none, which are not looked at again; gets more."""
        unusable = set() if unusable is None else unusable
        for row in self._done(key, "result"):
            if _version(row) in unusable:
                continue
            if not is_whole(row["result"], row["digest"]):
                self.tell(f"damage: the journal's row {key} of run {row['run_id']} does not fit its digest; made again")
            else:
                result = _loaded(row["result"])
                if self.intact is None or self.intact(result):
                    return result
            unusable.add(_version(row))
        return None

    def _done(self, key: str, *columns: str) -> list[dict[str, Any]]:
        """The finished rows that may answer, in the order in which they are preferred."""
        return self.database.read(
            f"SELECT {', '.join(('number', 'run_id', 'attempt', 'digest', *columns))} FROM journal "  # noqa: S608 - our columns
            "WHERE key = ? AND state = 'done' AND (run_id = ? OR ?) ORDER BY run_id = ? DESC, number",
            [key, self.run_id, not self.fresh, self.run_id],
        )

    def _finish(self, key: str, result: Result, keep: Judge | None) -> Result:
        text = pack(result)
        kept = keep is None or keep(result)
        if not self._close(key, "done" if kept else "failed", text, None if kept else "the result was not kept"):
            return self._stored(key) or _loaded(text)
        return _loaded(text)

    async def _give_up(self, key: str, error: BaseException) -> None:
        """As `_fail`. A cancellation goes on as one also when the row cannot be written: left at running, as after a kill."""
        try:
            await _off_loop(self._fail, key, error)
        except ModelwrightError as beside:
            if not isinstance(error, asyncio.CancelledError):
                raise
            note_beside(error, [beside])

    def _fail(self, key: str, error: BaseException) -> None:
        self._close(key, "failed", None, clean(f"{type(error).__name__}: {error}")[:4000])

    def _close(self, key: str, state: str, result: str | None, error: str | None) -> bool:
        """Write how an attempt ended. False, and nothing is written, when the effect is done already.

        Then this attempt has outlived the lock of its run, and whoever drives that now was quicker. What is done stays as
        it is: a checkpoint may rest on it.
        """
        digest = None if result is None else _digest(result)
        with self.database.write(self.run_id) as db:
            written = db.execute(
                "UPDATE journal SET state = ?, result = ?, digest = ?, error = ?, finished = ? "
                "WHERE key = ? AND run_id = ? AND state <> 'done'",
                [state, result, digest, error, now(), key, self.run_id],
            )
            return bool(written.rowcount)

    def _scope(self, key: str) -> Scope:
        return str(self.database.place), self.run_id if self.fresh else "", key


_Version = tuple[int, int, str]
"""A finished row at one moment: its number, its attempt, its digest."""


def _version(row: dict[str, Any]) -> _Version:
    return row["number"], row["attempt"], str(row["digest"])


def is_whole(result: str | None, digest: str | None) -> bool:
    """Whether a finished row's result is the one that was written."""
    return result is not None and _digest(result) == digest


def _plain_result(result: Result) -> Result:
    plain = to_plain(result)
    if not isinstance(plain, dict):
        raise TypeError(f"an effect gives a mapping of plain data, not {type(result).__name__}")
    return plain


def _loaded(text: str) -> Result:
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _off_loop(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run database work in a thread and see it through: a cancellation goes on only after the row is written."""
    work = asyncio.get_running_loop().run_in_executor(_pool, lambda: function(*args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await seen_through(work)
        raise
