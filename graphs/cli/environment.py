"""Settings from the environment: MODELWRIGHT_TARGET, MODELWRIGHT_TIME_LIMIT and so on, read by pydantic-settings."""

from __future__ import annotations

from typing import Any

from state.settings import Settings


def environment_settings() -> dict[str, Any]:
    """The settings that the environment names, as raw values. MODELWRIGHT_HOME and _CRASH are not settings."""
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

    class Environment(BaseSettings):
        model_config = SettingsConfigDict(env_prefix="MODELWRIGHT_", extra="ignore")

    fields = {name: (field.annotation, field) for name, field in Settings.model_fields.items()}
    from pydantic import create_model

    source = create_model("EnvironmentSettings", __base__=Environment, **fields)  # type: ignore[call-overload]  # fields come from Settings
    return dict(EnvSettingsSource(source)())
