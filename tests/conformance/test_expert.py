"""Every expert there is keeps to the protocol; the one that asks a model, with a schema or with a function to call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.expert import ExpertConformance
from tests.support.llm_server import LlmServer
from tests.support.scripted_team import scripted_team
from tools.experts import Expert
from tools.experts.builtin import BuiltinExpert
from tools.experts.llm import LlmExpert
from tools.experts.prompting import Prompts


class TestBuiltinExpert(ExpertConformance):
    @pytest.fixture
    def expert(self) -> Expert:
        return BuiltinExpert()


class TestLlmExpert(ExpertConformance):
    @pytest.fixture(params=["json_schema", "function_calling"])
    def expert(self, request: pytest.FixtureRequest) -> Iterator[Expert]:
        known = {"inference_reference": '"""Predicts."""\n\nimport sys\n'}
        with LlmServer(scripted_team(), supports=frozenset({request.param})) as server:
            yield LlmExpert("openai:scripted", base_url=server.url, prompts=Prompts(known=known))
