"""Written migrations: how runs that an earlier graph began are brought up to the graph of today.

A run that waits for a person may be answered months later, by a version of modelwright whose graph has another shape. It is
refused, with every difference, unless a migration leads from its graph to this one. So whoever changes nodes, edges or
channels decides here what becomes of suspended runs: nothing is written, and they stay with the version they were begun
with; or a migration is, with a test that carries a real suspended run over. A change that is known to be harmless gets a
migration without steps: that it is harmless is somebody's word, never a guess.

A migration is numbered and never edited once released. tools/skew.py has the steps and carries them out.
"""

from __future__ import annotations

from tools.skew import Migration

MIGRATIONS: tuple[Migration, ...] = ()
"""In order of their numbers. The fingerprints are those `modelwright doctor RUN` and the refusal show."""
