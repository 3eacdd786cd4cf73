"""No hostile program succeeds in the strong and the standard tier; each is first shown to succeed without them."""

from __future__ import annotations

import pytest

from tests.hostile.attack import Attack
from tests.hostile.batch import Role, is_expected, roles
from tests.hostile.conftest import Batches
from tests.hostile.running import ATTACKS

CONTROLLED = [attack for attack in ATTACKS if attack.control is not None]


def test_there_are_enough_programs() -> None:
    """At least 27 attacks of every subject have a control; names are unique, and those without one say why."""
    assert len(CONTROLLED) >= 27
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert all(attack.why_no_control for attack in ATTACKS if attack.control is None)


@pytest.mark.campaign
@pytest.mark.parametrize("attack", CONTROLLED, ids=lambda attack: attack.name)
def test_without_a_sandbox_it_succeeds(batches: Batches, attack: Attack) -> None:
    """The control: in the basic tier, or in a plain subprocess, the attack has its effect."""
    if not is_expected("as this user", attack.root_only):
        pytest.skip(attack.root_only)
    row = batches(str(attack.control), "as this user")[attack.name]
    assert row["evidence"], row


@pytest.mark.parametrize(
    "role",
    [pytest.param(role, marks=pytest.mark.campaign) if role == "unprivileged" else role for role in roles()],
)
@pytest.mark.parametrize("tier", ["T2", "T1"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_in_the_sandbox_it_is_stopped(batches: Batches, attack: Attack, tier: str, role: Role) -> None:
    """The same program, run as a job in the tier, has no effect."""
    rows = batches(tier, role)
    if "" in rows:
        pytest.skip(f"{tier} {role}: {rows['']['why']}")
    assert not rows[attack.name]["evidence"], rows[attack.name]
