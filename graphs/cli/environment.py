"""Settings from the environment: MODELWRIGHT_TARGET, MODELWRIGHT_TIME_LIMIT and so on, read by pydantic-settings."""

from __future__ import annotations

import difflib
import json
import os
import sys
from typing import Any, get_origin

from state.errors import InputError, Problem
from state.settings import Settings

PREFIX = "MODELWRIGHT_"
_OTHERS = "HOME STORE LEASE_SECONDS CRASH KEY_FILE PROMPTS STUDIO_TOKEN STUDIO_FOLDER TRACEBACK"
_NO_SETTINGS = frozenset(PREFIX + name for name in _OTHERS.split())
"""Variables that mean something without being settings of a run."""


def environment_settings() -> dict[str, Any]:
    """The settings that the environment names, as raw values; an empty variable names nothing.

    Lists are written with commas, the experts of roles as ROLE=EXPERT with commas; both also as JSON. A variable of
    our prefix that is no setting is told on stderr, since it does nothing.
    """
    from pydantic import create_model
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

    class Environment(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX, env_ignore_empty=True, enable_decoding=False, extra="ignore"
        )

    fields = {name: (field.annotation, field) for name, field in Settings.model_fields.items()}
    source = create_model("EnvironmentSettings", __base__=Environment, **fields)  # type: ignore[call-overload]  # fields come from Settings
    found = dict(EnvSettingsSource(source)())
    _name_strangers()
    return {name: _decoded(name, value) for name, value in found.items()}


def _decoded(name: str, value: str) -> Any:
    kind = get_origin(Settings.model_fields[name].annotation)
    if kind not in {list, dict}:
        return value
    if value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except json.JSONDecodeError as error:
            raise InputError(Problem(f"no valid JSON: {error}", where=PREFIX + name.upper())) from None
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if kind is list:
        return parts
    if wrong := [part for part in parts if "=" not in part]:
        cure = "write ROLE=EXPERT, several of them with commas"
        raise InputError(Problem(f"{wrong[0]!r} names no role", where=PREFIX + name.upper(), cure=cure))
    return dict(part.split("=", 1) for part in parts)


def _name_strangers() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if not name.startswith(PREFIX) or name in known | _NO_SETTINGS:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        sys.stderr.write(f"warning: {name} is no setting and does nothing{meant}\n")
