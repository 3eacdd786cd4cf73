"""The sandbox tiers this machine can enter, for tests that run in each of them."""

from __future__ import annotations

from tools.sandbox import probe

CONTAINED = [tier for tier in ("T1", "T2") if probe((tier,)).tier == tier]
"""Short names; empty where none works (macOS, old kernels)."""
TIERS = [*CONTAINED, "T3"]
