"""Full and read-only disks, real ones: what refuses is named, nothing is torn, and the run goes on once there is room."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.smalldisk import ENOUGH, DiskForge, why_not

REASON = why_not()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
KB = 1024


@pytest.fixture(scope="module")
def forge() -> Iterator[DiskForge]:
    with DiskForge() as warm:
        yield warm


@pytest.fixture(scope="module")
def wanted(forge: DiskForge, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the run comes to when there is room."""
    found = forge.ask("through", tmp_path_factory.mktemp("roomy") / "home", size=ENOUGH)
    assert found["first"] == {"status": "done"}
    return found


def check(found: dict[str, Any], wanted: dict[str, Any], ledger: Path) -> None:
    """Named when it was refused; the same result afterwards; no effect that had finished made again."""
    first = found["first"]
    if "status" not in first:
        assert first["kind"] == "DiskFull", first
        assert "is full" in first["message"]
        assert "free " in first["hint"]
        assert "modelwright resume" in first["hint"]
    assert found["torn"] == []
    assert found["again"] == {"status": "done"}, found
    assert (found["outcome"], found["candidates"]) == (wanted["outcome"], wanted["candidates"])
    made = Counter(line for line in ledger.read_text().splitlines() if line.startswith("job"))
    assert max(made.values()) == 1, "a finished job was executed again"


@pytest.mark.parametrize("size", [60, 150, 230, 330, 470])
def test_a_disk_that_fills_up_stops_the_run_and_nothing_is_lost(
    size: int, forge: DiskForge, wanted: dict[str, Any], tmp_path: Path
) -> None:
    """The run is refused at this size in KB, by name; with more room it goes on to the same result."""
    found = forge.ask("through", tmp_path / "home", size=size * KB)
    assert "status" not in found["first"], "this disk was not too small"
    check(found, wanted, tmp_path / "home.ledger")


@pytest.mark.campaign
def test_full_at_each_write(forge: DiskForge, wanted: dict[str, Any], tmp_path: Path) -> None:
    """Page by page, from no room at all to enough: every write meets the full disk once."""
    refused = 0
    for size in range(4, 4000, 4):
        found = forge.ask("through", tmp_path / f"{size}" / "home", size=size * KB)
        check(found, wanted, tmp_path / f"{size}" / "home.ledger")
        if "status" in found["first"]:
            break
        refused += 1
    print(json.dumps({"sizes refused": refused}))
    assert refused > 50


def test_without_room_a_step_does_not_begin(forge: DiskForge, tmp_path: Path) -> None:
    """With less free than the reserve the run stops before its first step, saying where and how much to free."""
    found = forge.ask("through", tmp_path / "home", size=8 * 1024 * KB, reserve=True)
    assert found["first"]["kind"] == "DiskFull"
    assert "64.0 MB are needed there" in found["first"]["message"]
    assert found["first"]["hint"].startswith("free 5")
    assert str(tmp_path / "home") in found["first"]["hint"]
    assert found["again"] == {"status": "done"}


def test_a_read_only_folder_is_named(forge: DiskForge, tmp_path: Path) -> None:
    """Neither going on nor beginning works there; both say where; once it can be written, the run goes on."""
    found = forge.ask("read only", tmp_path / "home")
    for refused in (found["refused"], found["begun"]):
        assert refused["kind"] == "StoreError", refused
        assert str(tmp_path / "home") in refused["message"]
        assert "write" in refused["hint"]
    assert found["again"] == {"status": "waiting"}
