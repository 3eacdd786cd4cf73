"""A few of the histories that the campaign explores by the thousand."""

from __future__ import annotations

from tests.durability.forge import Forge
from tests.durability.histories import play


def test_histories_keep_every_promise(forge: Forge) -> None:
    """Started, killed, answered, forked, with wrong clocks and full disks: every run ends as its undisturbed twin."""
    play(6, steps=6, forge=forge)
