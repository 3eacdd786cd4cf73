"""Names of experts, and the provider configuration that the Model facade takes."""

from __future__ import annotations

import pytest

from state.errors import ExpertError, UsageError
from state.settings import Settings
from tools.experts.llm import LlmExpert
from tools.experts.provider import ProviderConfig, parse_spec, provider_config


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        ("openai:gpt-5-mini", "openai", "gpt-5-mini"),
        ("openai/gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("OpenAI:gpt-5", "openai", "gpt-5"),
        ("ollama:qwen3:8b", "ollama", "qwen3:8b"),
        ("vllm:meta-llama/Llama-3.1-8B", "vllm", "meta-llama/Llama-3.1-8B"),
        ("openrouter/mistralai/mistral-small:free", "openrouter", "mistralai/mistral-small:free"),
    ],
)
def test_names_are_read_with_colon_or_slash(text: str, provider: str, model: str) -> None:
    """Only the first separator counts."""
    assert parse_spec(text) == (provider, model)


@pytest.mark.parametrize("text", ["gpt-5-mini", "openai:", ":gpt", "openai: gpt 5", ""])
def test_what_names_no_model_is_refused(text: str) -> None:
    """The message shows the two forms that are right."""
    with pytest.raises(UsageError, match="provider:model"):
        parse_spec(text)


def test_one_string_stands_for_all_roles() -> None:
    """The shorthand fills the map that the settings take."""
    experts = provider_config("openai/gpt-4o-mini")
    assert set(experts.values()) == {"openai:gpt-4o-mini"}
    settings = Settings(experts=experts)
    for role in ("analyst", "examiner", "researcher", "engineer", "strategist", "operations", "reviewer", "publisher"):
        assert settings.expert_for(role) == "openai:gpt-4o-mini"


def test_roles_can_differ() -> None:
    """Overrides reach the roles of their kind; the others keep the default."""
    config = ProviderConfig(research_provider="openai:gpt-5", ops_provider="builtin")
    experts = provider_config(config)
    assert experts["researcher"] == "openai:gpt-5"
    assert (experts["operations"], experts["publisher"]) == ("builtin", "builtin")
    assert (experts["engineer"], experts["reviewer"]) == ("openai:gpt-4o-mini", "openai:gpt-4o-mini")


@pytest.mark.parametrize("provider", [None, "", "builtin", "Builtin"])
def test_no_provider_means_the_builtin_expert(provider: str | None) -> None:
    """Nothing is ever sent to a model unless one is named."""
    assert set(provider_config(provider).values()) == {"builtin"}


def test_a_provider_without_an_address_is_refused() -> None:
    """Only OpenAI's own address is known; any other server is named by base_url."""
    with pytest.raises(ExpertError, match="base_url"):
        LlmExpert("mistral:small")
    assert LlmExpert("mistral:small", base_url="http://127.0.0.1:1/v1").name == "mistral:small"
