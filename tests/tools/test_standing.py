"""Who may run its other folds first, when not all can: nobody waits while there is time, else the best goes first."""

from __future__ import annotations

import asyncio

from tools.standing import Standing


async def _ask(
    standing: Standing, order: list[str], who: str, *, after: float, gain: float, seconds: float = 2.0, room: float
) -> None:
    standing.begin(who)
    try:
        await asyncio.sleep(after)
        await standing.turn(who, seconds, gain, 5, room)
        order.append(who)
        standing.end(who)
    finally:
        standing.end(who)


def _order(room: float, *asking: tuple[str, float, float]) -> list[str]:
    async def all_of_them() -> list[str]:
        standing, order = Standing(), list[str]()
        for who, _, _ in asking:
            standing.begin(who)
        await asyncio.gather(
            *(_ask(standing, order, who, after=after, gain=gain, room=room) for who, after, gain in asking)
        )
        return order

    return asyncio.run(all_of_them())


def test_with_time_for_all_nobody_waits() -> None:
    """Whoever ends first goes on at once, however it scored."""
    assert _order(100.0, ("a", 0.0, 0.1), ("b", 0.02, 0.9), ("c", 0.04, 0.5)) == ["a", "b", "c"]


def test_without_time_for_all_the_best_goes_first() -> None:
    """All wait for the last first fold, and go in the order of their scores; undefined scores come last."""
    assert _order(10.0, ("a", 0.0, 0.1), ("d", 0.0, float("nan")), ("b", 0.02, 0.9), ("c", 0.04, 0.5)) == list("bcad")


def test_equal_scores_go_by_name() -> None:
    """Never by who ended first."""
    assert _order(10.0, ("b", 0.0, 0.5), ("a", 0.03, 0.5)) == ["a", "b"]


def test_one_that_fails_holds_nobody_up() -> None:
    """A program that ended without a score is not waited for."""

    async def some_fail() -> list[str]:
        standing, order = Standing(), list[str]()

        async def fails() -> None:
            standing.begin("z")
            await asyncio.sleep(0.03)
            standing.end("z")

        standing.begin("z")
        await asyncio.gather(fails(), _ask(standing, order, "a", after=0.0, gain=0.5, room=10.0))
        return order

    assert asyncio.run(some_fail()) == ["a"]
