"""One warm process for all tests of a worker that play with the small team."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.durability.forge import Forge


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    """Forks a child for every command."""
    with Forge() as warm:
        yield warm
