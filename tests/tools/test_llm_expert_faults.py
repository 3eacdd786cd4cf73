"""What a model server can do wrong, row by row, against a real HTTP server on loopback."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, TypedDict

import pytest

from state.errors import ExpertError
from state.questions import Review
from tests.conformance.executor import PATIENCE
from tests.support.llm_server import LlmServer, Reply, Script
from tests.support.questions import plan_question, program_question, repair_question, review_question
from tests.support.scripted_team import MARKER, PROGRAM, scripted_team
from tools.experts.llm import LlmExpert

REVIEW = {"summary": "Looks sound.", "concerns": ["The test set is small."]}
GOOD: Reply = {"answer": REVIEW}
CANARY = "sk-canary-0123456789abcdef"

Opened = tuple[LlmServer, LlmExpert]
Opener = Callable[..., Opened]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Opens a server with a script and an expert that asks it; both are closed after the test."""
    servers: list[LlmServer] = []
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def open_both(script: Script, *, server_options: dict[str, Any] | None = None, **options: Any) -> Opened:
        server = LlmServer(script, **(server_options or {})).__enter__()
        servers.append(server)
        return server, LlmExpert("openai:scripted", base_url=server.url, **{"timeout": 200.0, **options})

    yield open_both
    for server in servers:
        server.__exit__()


class Summary(TypedDict):
    """State of a graph of one node."""

    summary: str


def failure(expert: LlmExpert, question: Any = None) -> ExpertError:
    with pytest.raises(ExpertError) as caught:
        expert.ask(question or review_question())
    return caught.value


# ---- the form of the answer ---------------------------------------------------------------------------------------


def test_the_schema_travels_with_the_request(opened: Opener) -> None:
    """The server is given a strict schema under the answer's own name, and no other protocol than chat completions."""
    server, expert = opened([GOOD])
    assert expert.ask(review_question()) == Review(**REVIEW)
    wanted = server.requests[0]["response_format"]["json_schema"]
    assert wanted["name"] == "ReviewAnswer"
    assert wanted["strict"] is True
    assert wanted["schema"]["required"] == ["summary", "concerns"]
    assert server.requests[0]["stream"] is False


def test_open_objects_travel_as_text(opened: Opener) -> None:
    """A plan's parameters, which no strict schema can describe, arrive as a mapping all the same."""
    server, expert = opened(scripted_team())
    plans = expert.ask(plan_question()).plans
    assert [plan.params for plan in plans] == [{"trees": 120}] * 3
    assert server.refused == []


@pytest.mark.parametrize("known", ["function_calling", "json_mode", "text"])
def test_a_server_without_schemas_is_asked_in_its_own_way_and_that_is_remembered(opened: Opener, known: str) -> None:
    """Refusals of a way of asking lead to the next one; later questions start with what worked."""
    server, expert = opened(scripted_team(), server_options={"supports": frozenset({known})})
    assert MARKER in expert.ask(program_question()).code
    refused = len(server.refused)
    assert refused >= 1
    assert MARKER in expert.ask(repair_question()).code
    assert len(server.refused) == refused


def test_a_streaming_graph_does_not_change_the_request(opened: Opener) -> None:
    """Within a graph whose messages are streamed, a whole reply is asked for as ever: a cut stream could pass for one."""
    from langgraph.graph import END, START, StateGraph

    server, expert = opened([GOOD])
    graph = StateGraph(Summary)
    graph.add_node("ask", lambda state: {"summary": expert.ask(review_question()).summary})
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    list(graph.compile().stream({"summary": ""}, stream_mode=["messages", "updates"]))
    assert server.calls == 1
    assert server.requests[0]["stream"] is False


def test_a_proxy_in_the_environment_is_no_obstacle(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library's own variable is honoured: here the loopback server is its own proxy."""
    server, expert = opened([GOOD])
    monkeypatch.setenv("OPENAI_PROXY", server.url.removesuffix("/v1"))
    assert expert.ask(review_question()) == Review(**REVIEW)
    assert server.calls == 1


# ---- replies that hold no answer at first -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("I would rather use a forest.", "not one JSON object"),
        ({"content": None}, "empty"),
        ({"content": "   "}, "empty"),
        ({"content": '{"summary": "half a', "finish": "length"}, "cut off"),
        ({"content": '{"summary": "half a', "finish": None}, "stopped before it was complete"),
        ({"answer": {"summary": "no concerns given", "concerns": "none"}}, "concerns: Input should be a valid list"),
        ({"answer": {**REVIEW, "score": 1.0}}, "score: Extra inputs are not permitted"),
        ({"answer": [REVIEW]}, "not one JSON object"),
        ({"content": None, "refusal": "I cannot help with that"}, "declined"),
        ({"content": "", "finish": "content_filter"}, "content filter"),
        ({"content": "x" * 300_000}, "at most 200 kB"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else None,
)
def test_an_unusable_reply_is_answered_with_what_is_wrong(opened: Opener, bad: Reply, told: str) -> None:
    """The second request holds the conversation, the problem in words, and the schema; its reply is the answer."""
    server, expert = opened([bad, GOOD])
    exchange = expert.exchange(review_question())
    assert exchange.answer == REVIEW
    assert told in exchange.turns[0].problems[0]
    roles = [message["role"] for message in server.requests[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    correction = server.requests[1]["messages"][-1]["content"]
    assert told in correction
    assert '"concerns"' in correction


def test_nearly_json_is_repaired_without_asking_again(opened: Opener) -> None:
    """Prose and a fence around the object, single quotes and a trailing comma cost no second call."""
    text = "Here it is:\n```json\n{'summary': 'Fine.', 'concerns': ['few rows',],}\n```\nAnything else?"
    server, expert = opened([text])
    assert expert.ask(review_question()) == Review(summary="Fine.", concerns=["few rows"])
    assert server.calls == 1


def test_the_model_gets_three_corrections_and_no_more(opened: Opener) -> None:
    """A model that never answers in form costs four calls; the error names role, model and the last problem."""
    server, expert = opened(["no JSON today"])
    error = failure(expert)
    assert server.calls == 4
    for part in ("openai:scripted", "reviewer", "4 replies", "not one JSON object"):
        assert part in str(error)


def test_a_model_that_declines_twice_is_not_pressed(opened: Opener) -> None:
    """One rewording, then the question goes elsewhere."""
    server, expert = opened([{"content": None, "refusal": "I will not do this"}])
    assert "declines to answer" in str(failure(expert))
    assert server.calls == 2


def test_a_call_of_an_unknown_function_is_sent_back(opened: Opener) -> None:
    """Only the one function that carries the answer can be called."""
    answer = {"tool_calls": [("ReviewAnswer", json.dumps(REVIEW))]}
    script: Script = [{"tool_calls": [("run_shell", '{"command": "env"}')]}, answer]
    server, expert = opened(script, server_options={"supports": frozenset({"function_calling"})})
    assert expert.ask(review_question()) == Review(**REVIEW)
    assert "'run_shell' is no function here; call ReviewAnswer" in str(server.requests[-1]["messages"][-1]["content"])


def test_broken_arguments_of_a_function_call_are_repaired(opened: Opener) -> None:
    """A missing brace in the arguments costs no second call."""
    script: Script = [{"tool_calls": [("ReviewAnswer", json.dumps(REVIEW)[:-1])]}]
    server, expert = opened(script, server_options={"supports": frozenset({"function_calling"})})
    assert expert.ask(review_question()) == Review(**REVIEW)
    assert server.calls == 2  # the first one was the refused way of asking


def test_nul_and_lone_surrogates_do_not_get_into_an_answer(opened: Opener) -> None:
    """What neither SQLite nor a JSON file can hold is taken out, escaped in the JSON or not."""
    _, expert = opened([{"content": '{"summary": "a\\u0000b \\ud800 c", "concerns": []}'}])
    summary = expert.ask(review_question()).summary
    assert summary == "ab \ufffd c"
    assert summary.encode()


# ---- programs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        {"answer": {"code": PROGRAM, "notes": ""}},
        {"answer": {"code": f"```python\n{PROGRAM}```", "notes": ""}},
        {"answer": {"code": f"Here you are:\n\n~~~py\n{PROGRAM}~~~\nGood luck!", "notes": ""}},
        {"content": f"This should do:\n\n```python\n{PROGRAM}```\n"},
    ],
    ids=["plain", "fenced", "fenced with prose", "no JSON, one code block"],
)
def test_a_program_is_found_in_any_wrapping(opened: Opener, reply: Reply) -> None:
    """Fences and prose around a program are stripped; its text is otherwise untouched."""
    server, expert = opened([reply])
    assert expert.ask(program_question()).code.strip() == PROGRAM.strip()
    assert server.calls == 1


def test_a_fence_within_a_docstring_stays(opened: Opener) -> None:
    """A program that is valid as it stands is not searched for code blocks."""
    code = '"""Use it so:\n\n```python\nfit(X, y)\n```\n"""\n\n\ndef fit(X, y):\n    return 1\n'
    _, expert = opened([{"answer": {"code": code, "notes": ""}}])
    assert expert.ask(program_question()).code == code


def test_half_a_program_is_never_an_answer(opened: Opener) -> None:
    """Code that does not parse goes back with the line of its error."""
    half = PROGRAM[: PROGRAM.index("return {")] + "return {"
    server, expert = opened([{"answer": {"code": half, "notes": ""}}, {"answer": {"code": PROGRAM, "notes": ""}}])
    assert MARKER in expert.ask(program_question()).code
    assert "not complete, valid Python" in server.requests[1]["messages"][-1]["content"]


def test_a_repair_that_changes_nothing_is_sent_back(opened: Opener) -> None:
    """The refused program, given again, would only fail again."""
    question = repair_question()
    server, expert = opened(
        [{"answer": {"code": question.code, "notes": ""}}, {"answer": {"code": PROGRAM, "notes": ""}}]
    )
    assert MARKER in expert.ask(question).code
    assert "unchanged" in server.requests[1]["messages"][-1]["content"]


# ---- plans ---------------------------------------------------------------------------------------------------------------


def test_a_plan_that_cites_what_does_not_exist_is_sent_back(opened: Opener) -> None:
    """The correction names the findings and candidates there are."""
    team = scripted_team()
    spoilt = iter([True])

    def script(request: dict[str, Any]) -> Reply:
        reply = team(request)
        assert isinstance(reply, dict)
        if next(spoilt, False):
            reply["answer"]["plans"][0].update(cites=["f99"], parent="i9-dream", operator="improve")
        return reply

    server, expert = opened(script)
    assert expert.ask(plan_question()).plans[0].cites == ["f1"]
    correction = server.requests[1]["messages"][-1]["content"]
    for part in ("f99", "the findings are ['f1']", "i9-dream", "use one of ['i0-forest']"):
        assert part in correction


def test_ids_of_plans_are_settled_by_us(opened: Opener) -> None:
    """Whatever a model calls its plans, ids tell the iteration, fit into a file name and occur once in the run."""
    team = scripted_team()

    def script(request: dict[str, Any]) -> Reply:
        reply = team(request)
        assert isinstance(reply, dict)
        names = ["../../Über Plan", "forest", "forest"]
        for plan, name in zip(reply["answer"]["plans"], names, strict=True):
            plan["id"] = name
        reply["answer"]["iteration_plan"]["iteration"] = 77
        return reply

    _, expert = opened(script)
    answer = expert.ask(plan_question(tried=[{"id": "i1-forest"}]))
    assert [plan.id for plan in answer.plans] == ["i1-ber-plan", "i1-forest-2", "i1-forest-3"]
    assert answer.iteration_plan.iteration == 1


# ---- HTTP ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reply", "told"),
    [
        (401, {"error": "Incorrect API key provided"}, "environment variable TEST_KEY"),
        (403, {"error": "not for you"}, "environment variable TEST_KEY"),
        (404, {"error": "The model `scripted` does not exist"}, "model's name"),
        (429, {"error": "You exceeded your current quota", "error_code": "insufficient_quota"}, "add credit"),
        (
            400,
            {"error": "This model's maximum context length is 8192 tokens"},
            "does not fit into this model's context",
        ),
        (400, {"error": "too long", "error_code": "context_length_exceeded"}, "does not fit into this model's context"),
    ],
)
def test_what_no_retry_can_cure_is_not_retried(opened: Opener, status: int, reply: dict[str, Any], told: str) -> None:
    """One call; the error names the role, the model, the server's words and what to do."""
    server, expert = opened([{"status": status, **reply}], api_key_env="TEST_KEY")
    error = failure(expert)
    assert server.calls == 1
    for part in ("openai:scripted", "reviewer", str(status), told):
        assert part in str(error)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "error": "oops"},
        {"status": 503, "error": "loading"},
        {"status": 429, "error": "slow down", "headers": {"Retry-After": "0.1"}},
        {"status": 429, "error": "slow down", "headers": {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}},
        {"raw": b"<html>bad gateway</html>", "headers": {"content-type": "text/html"}},
        {"raw": b"{not json"},
        {"raw": b'{"choices": []}'},
        {"raw": b'{"object": "something else"}'},
        {"answer": REVIEW, "cut": 40},
    ],
    ids=["500", "503", "429", "429 with a date gone by", "HTML", "bad JSON", "no choices", "other JSON", "cut body"],
)
def test_what_may_pass_is_tried_again(opened: Opener, fault: Reply) -> None:
    """A second request gets the answer, and no correction is spent on it."""
    server, expert = opened([fault, GOOD])
    exchange = expert.exchange(review_question())
    assert exchange.answer == REVIEW
    assert len(exchange.turns) == 1
    assert server.calls == 2


def test_tries_are_bounded(opened: Opener) -> None:
    """A server that stays broken costs three requests."""
    server, expert = opened([{"status": 500, "error": "still broken", "headers": {"Retry-After": "0.05"}}])
    assert "500: " in str(failure(expert))
    assert server.calls == 3


def test_a_long_pause_is_told_and_not_waited_for(opened: Opener) -> None:
    """A server may ask for minutes; beyond the cap the run goes on without it."""
    server, expert = opened([{"status": 429, "error": "later", "headers": {"Retry-After": "90"}}])
    assert "asks to wait 90 s, longer than can be waited" in str(failure(expert))
    assert server.calls == 1


def test_a_server_that_does_not_answer_is_given_up(opened: Opener) -> None:
    """The timeout of a request holds, and a request that timed out is tried once more."""
    server, expert = opened([{"answer": REVIEW, "delay": 600}], timeout=1.5)
    assert "no " in str(failure(expert))
    give_up = time.monotonic() + PATIENCE
    while server.calls < 2 and time.monotonic() < give_up:  # what was sent arrives, however late the server reads it
        time.sleep(0.02)
    assert server.calls == 2


def test_a_server_that_dribbles_is_given_up_too(opened: Opener) -> None:
    """Each byte comes in time, the whole reply never would."""
    # A byte comes long before the timeout of a read, and all of them long after it.
    server, expert = opened([{"answer": REVIEW, "dribble": 0.1}], timeout=3.0, retries=0)
    assert "no complete reply within" in str(failure(expert))
    assert server.calls == 1


def test_no_request_is_started_without_time(opened: Opener) -> None:
    """When the run's time is over, nothing is paid for any more."""
    server, expert = opened([GOOD], seconds_left=lambda: 0.2)
    assert "no time is left" in str(failure(expert))
    assert server.calls == 0


def test_nobody_listens() -> None:
    """The error for a server that is not there names the setting to look at."""
    with socket.socket() as silent:  # bound and not listening, so that nobody else gets the port meanwhile
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        error = failure(LlmExpert("openai:scripted", base_url=address, retries=0))
    assert "cannot be reached" in str(error)
    assert "base_url" in str(error)


def test_usage_is_estimated_where_a_server_reports_none(opened: Opener) -> None:
    """Budgets count tokens also of servers that do not."""
    _, expert = opened([{"answer": REVIEW, "usage": None}])
    exchange = expert.exchange(review_question())
    assert exchange.turns[0].reply.estimated
    assert exchange.tokens_in > 300
    assert exchange.tokens_out > 5


# ---- keys ---------------------------------------------------------------------------------------------------------------------


def test_without_a_key_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent when the provider's own server would need a key that is not there."""
    monkeypatch.delenv("MY_KEY", raising=False)
    error = failure(LlmExpert("openai:gpt-5-mini", api_key_env="MY_KEY"))
    assert "MY_KEY is not set" in str(error)


def test_the_key_is_sent_to_the_server_and_shown_nowhere(
    opened: Opener, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server that echoes the key, in an error or in an answer, does not get it into messages, logs or records."""
    monkeypatch.setenv("TEST_KEY", CANARY)
    caplog.set_level(logging.DEBUG)
    echo: Reply = {"answer": {"summary": f"Your key is {CANARY}", "concerns": [f"{CANARY} leaks"]}}
    wrong: Reply = {"status": 401, "error": f"Incorrect API key provided: {CANARY}"}
    server, expert = opened([echo, wrong], api_key_env="TEST_KEY")
    exchange = expert.exchange(review_question(facts={"log": f"OPENAI_API_KEY={CANARY}"}))
    error = failure(expert)
    assert server.headers[0]["authorization"] == f"Bearer {CANARY}"
    shown = [server.prompts(), exchange.model_dump_json(), str(error), repr(error), repr(vars(expert)), caplog.text]
    for text in shown:
        assert CANARY not in text
        assert "canary" not in text
    assert "Your key is [key]" in str(exchange.answer)
    assert error.__cause__ is None
    assert error.__context__ is None
