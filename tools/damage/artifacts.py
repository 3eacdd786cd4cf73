"""Whether an artifact is whole."""

from __future__ import annotations

import re

from state.errors import ArtifactDamaged, ArtifactMissing, StoreError
from tools.artifacts import ArtifactStore

_REFERENCE = re.compile(r"sha256:[0-9a-f]{64}")


def artifact_problem(artifacts: ArtifactStore, reference: str) -> str:
    """What is wrong with an artifact, as the end of a sentence; "" when it is whole."""
    try:
        artifacts.check(reference)
    except ArtifactMissing:
        return "is not in the artifact store"
    except ArtifactDamaged:
        return "does not have the content its name promises"
    return ""


def reference_in(error: StoreError) -> str:
    """The artifact an error is about: both of its kinds name it."""
    found = _REFERENCE.search(error.message)
    return found[0] if found else ""
