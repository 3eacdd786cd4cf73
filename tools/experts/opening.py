"""Opens the expert that the settings name for a role."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import resources, util
from typing import Any

from state.settings import Settings
from tools.experts import Expert
from tools.experts.fallback import FallbackExpert, Note
from tools.experts.provider import is_builtin, parse_spec
from tools.experts.recorded import ExchangeLog, PaidEffects, RecordedExpert


def open_expert(
    role: str,
    settings: Settings,
    *,
    runlog: ExchangeLog,
    journal: PaidEffects,
    note: Note,
    seconds_left: Callable[[], float] | None = None,
) -> Expert:
    """The expert of a role, recorded; one that asks a language model falls back to the builtin one and notes it.

    seconds_left: wall seconds that may still be spent on asking. Without it a request may take `llm_timeout`, at most
    the run's whole time limit. Opening connects to nothing. Raises UsageError for a name that is no expert.
    """
    spec = settings.expert_for(role)
    from tools.experts.builtin import BuiltinExpert

    builtin = RecordedExpert(BuiltinExpert(), runlog, journal)
    if is_builtin(spec):
        return builtin
    from tools.experts.llm import LlmExpert
    from tools.experts.prompting import Prompts, own_folder

    llm = LlmExpert(
        spec,
        base_url=server_address(spec, settings),
        api_key_env=settings.api_key_env,
        timeout=min(settings.llm_timeout, settings.time_limit),
        temperature=settings.temperature,
        prompts=Prompts(own_folder(), known=_known(role, settings)),
        seconds_left=seconds_left,
        say=lambda text: note(text, role),
    )
    return FallbackExpert(RecordedExpert(llm, runlog, journal), builtin, note)


def server_address(spec: str, settings: Settings) -> str:
    """The server's URL: the setting; else, for openai, what its libraries read from the environment; else empty."""
    if settings.base_url or parse_spec(spec).provider != "openai":
        return settings.base_url
    return os.environ.get("OPENAI_BASE_URL", "") or os.environ.get("OPENAI_API_BASE", "")


def _known(role: str, settings: Settings) -> dict[str, Any]:
    """What a role is told beside its question."""
    if role == "engineer":
        return {"libraries": _libraries()}
    if role == "operations":
        return {"inference_reference": _inference_reference()}
    if role == "researcher" and is_builtin(settings.expert_for("engineer")):
        return {"recipes": _recipes()}
    return {}


def _libraries() -> list[str]:
    """Modules a program may import: installed data libraries, and harmless ones of the standard library."""
    from tools.program import DATA_LIBRARIES, STANDARD_LIBRARY

    installed = (name for name in sorted(DATA_LIBRARIES) if util.find_spec(name) is not None)
    return [*installed, *sorted(STANDARD_LIBRARY)]


def _recipes() -> list[dict[str, Any]]:
    """Recipes of the builtin engineer: a plan for it must name one."""
    from tools.recipes.catalogue import RECIPES

    return [{"name": recipe.name, "family": recipe.family} for recipe in RECIPES.values()]


def _inference_reference() -> str:
    """The inference program that fits any model; an expert may adapt it."""
    return resources.files("tools.release").joinpath("templates/inference.py").read_text("utf-8")


__all__ = ["open_expert", "server_address"]
