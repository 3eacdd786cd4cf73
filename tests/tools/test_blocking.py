"""Work side by side: when one part fails, the others have ended before the error leaves."""

from __future__ import annotations

import asyncio
import threading

import pytest

from state.errors import DiskFull, StoreError
from tools.blocking import in_thread, together


async def _gives(value: int, turns: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return value


def test_results_come_in_the_order_of_the_works() -> None:
    """Whoever ends first, the first work's result comes first."""
    assert asyncio.run(together(*(_gives(value, 9 - value) for value in range(9)))) == tuple(range(9))


def test_the_others_have_ended_before_the_error_leaves() -> None:
    """Tasks are cancelled and have cleaned up, threads have returned; the error is the very one that was raised."""
    ended: list[str] = []
    begun, failed = threading.Event(), threading.Event()

    def plain() -> None:
        begun.set()
        assert failed.wait(60)
        ended.append("thread")

    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            for _ in range(20):
                await asyncio.sleep(0)
            ended.append("task")

    async def fails() -> None:
        await asyncio.to_thread(begun.wait, 60)
        asyncio.get_running_loop().call_later(0.05, failed.set)
        try:
            raise OSError(28, "No space left on device")
        except OSError as cause:
            raise DiskFull("the disk is full", hint="free some") from cause

    async def work() -> None:
        try:
            await together(slow(), in_thread(plain), fails())
        except StoreError:
            ended.append("error")
            raise

    with pytest.raises(DiskFull, match="the disk is full") as raised:
        asyncio.run(work())
    assert ended == ["task", "thread", "error"]
    assert isinstance(raised.value.__cause__, OSError)
    assert not getattr(raised.value, "__notes__", [])


def test_what_else_went_wrong_is_told_in_notes() -> None:
    """The first error is raised; another one is noted in it, the same one once more is not."""

    async def raises(error: Exception) -> None:
        raise error

    async def raises_when_ended(error: Exception) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            raise error

    with pytest.raises(StoreError) as raised:
        asyncio.run(
            together(
                raises_when_ended(ValueError("bad")), raises(StoreError("gone")), raises_when_ended(StoreError("gone"))
            )
        )
    assert raised.value.message == "gone"
    assert raised.value.__notes__ == ["Beside it: ValueError: bad"]


def test_cancelled_it_waits_for_all_and_stays_cancelled() -> None:
    """A cancellation leaves when every work has ended, also when one of them fails over it."""
    ended: list[int] = []

    async def slow(number: int) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            for _ in range(10 * number):
                await asyncio.sleep(0)
            ended.append(number)
            if number == 1:
                raise StoreError("could not be noted")

    async def work() -> None:
        task = asyncio.create_task(together(*(slow(number) for number in range(4))))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [0, 1, 2, 3]

    asyncio.run(work())
