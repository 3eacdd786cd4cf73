"""Which model answers for which role: `provider:model` strings, and the provider configuration of the Model facade."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from state.errors import UsageError

BUILTIN = "builtin"
DEFAULT_PROVIDER = "openai/gpt-4o-mini"

_ROLES_OF = {
    "orchestrator": ("examiner", "strategist", "reviewer"),
    "research": ("researcher",),
    "engineer": ("engineer",),
    "ops": ("operations", "publisher"),
    "tool": ("analyst",),
}
_SPEC = re.compile(r"^([A-Za-z][A-Za-z0-9_.-]*)[:/](\S+)$")


class Spec(NamedTuple):
    """A parsed `provider:model`."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}"


def parse_spec(text: str) -> Spec:
    """Read `openai:gpt-5-mini` or `openai/gpt-5-mini`; only the first separator counts, so model names may hold both.

    Raises UsageError for anything else.
    """
    found = _SPEC.match(text.strip())
    if found is None:
        raise UsageError(
            f"{text!r} names no expert", hint=f"use {BUILTIN!r}, or provider:model such as 'openai:gpt-5-mini'"
        )
    return Spec(found.group(1).lower(), found.group(2))


def is_builtin(text: str) -> bool:
    """True for the builtin expert, however spelled; an empty string means it too."""
    return text.strip().lower() in ("", BUILTIN)


@dataclass(frozen=True)
class ProviderConfig:
    """Different models for different roles. What is left empty takes `default_provider`."""

    default_provider: str = DEFAULT_PROVIDER
    orchestrator_provider: str | None = None
    """Frames the task, compares candidates, reviews: examiner, strategist, reviewer."""
    research_provider: str | None = None
    """Plans: researcher."""
    engineer_provider: str | None = None
    """Writes programs: engineer."""
    ops_provider: str | None = None
    """Inference and release: operations, publisher."""
    tool_provider: str | None = None
    """Looks at the data: analyst."""


def provider_config(provider: str | ProviderConfig | None) -> dict[str, str]:
    """The `Settings.experts` map of a provider: every role with its expert.

    A string stands for all roles; None means the builtin expert. Raises UsageError for a malformed name.
    """
    config = provider if isinstance(provider, ProviderConfig) else ProviderConfig(default_provider=provider or BUILTIN)
    experts: dict[str, str] = {}
    for part, roles in _ROLES_OF.items():
        named = getattr(config, f"{part}_provider") or config.default_provider
        expert = BUILTIN if is_builtin(named) else str(parse_spec(named))
        experts.update(dict.fromkeys(roles, expert))
    return experts


__all__ = ["BUILTIN", "DEFAULT_PROVIDER", "ProviderConfig", "Spec", "is_builtin", "parse_spec", "provider_config"]
