"""Exchanges are on record, paid once, and fall back to another expert; opened as the settings say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from state.errors import ExpertError, UsageError
from state.questions import Answer, Question, Review
from state.settings import Settings
from tests.support.llm_server import LlmServer
from tests.support.questions import plan_question, program_question, review_question
from tests.support.scripted_team import MARKER, NOT_JSON, scripted_team
from tools.catalogue import Catalogue
from tools.experts.fallback import FallbackExpert, ask_and_name
from tools.experts.llm import LlmExpert
from tools.experts.opening import open_expert
from tools.experts.pricing import price
from tools.experts.recorded import RecordedExpert
from tools.journal import Journal
from tools.runlog import RunLog

A = TypeVar("A", bound=Answer)
CANARY = "sk-canary-0123456789abcdef"
REVIEW = {"summary": "Looks sound.", "concerns": []}
ROOT = Path(__file__).parents[2]


class FixedExpert:
    """An expert of the builtin kind, answering reviews from a rule; it cannot do anything else."""

    name = "builtin"

    def ask(self, question: Question[A]) -> A:
        if type(question).answer is not Review:
            raise ExpertError("only reviews are known here", hint="ask for a review")
        return type(question).answer.model_validate({"summary": "by rule"})  # type: ignore[return-value]  # it is a Review


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "catalogue.db")
    yield opened
    opened.close()


def test_an_exchange_is_recorded_whole(log: RunLog, catalogue: Catalogue) -> None:
    """The row tells who was asked what, what came of each turn, tokens, seconds, and that the price is not known."""
    with LlmServer([NOT_JSON, {"answer": REVIEW, "usage": (900, 40)}]) as server:
        llm = LlmExpert("openai:scripted", base_url=server.url)
        RecordedExpert(llm, log, Journal(catalogue, "run-1")).ask(review_question())
    (row,) = log.exchanges()
    assert (row["role"], row["expert"]) == ("reviewer", "openai:scripted")
    assert row["answer"] == REVIEW
    assert row["tokens_out"] > 40
    assert row["tokens_in"] > 900
    assert (row["cached"], row["cost"], row["question"]["price"], row["error"]) == (False, 0.0, "unknown", "")
    assert row["question"]["type"] == "ReviewQuestion"
    assert row["question"]["asked"]["facts"]["score"]["value"] == 0.83
    assert "Who survives?" in row["question"]["prompt"]["user"]
    assert [len(turn["problems"]) for turn in row["question"]["turns"]] == [1, 0]


def test_a_failed_exchange_is_recorded_too(log: RunLog, catalogue: Catalogue) -> None:
    """What was spent in vain is spent all the same."""
    with LlmServer([NOT_JSON]) as server:
        llm = LlmExpert("openai:scripted", base_url=server.url)
        with pytest.raises(ExpertError):
            RecordedExpert(llm, log, Journal(catalogue, "run-1")).ask(review_question())
    (row,) = log.exchanges()
    assert row["answer"] is None
    assert "4 replies in a row" in row["error"]
    assert len(row["question"]["turns"]) == 4


def test_builtin_exchanges_are_recorded(log: RunLog, catalogue: Catalogue) -> None:
    """They cost nothing and are on record like any other, refusals included."""
    expert = RecordedExpert(FixedExpert(), log, Journal(catalogue, "run-1"))
    expert.ask(review_question())
    with pytest.raises(ExpertError):
        expert.ask(program_question())
    rows = log.exchanges()
    assert [(row["expert"], row["cost"], row["error"]) for row in rows] == [
        ("builtin", 0.0, ""),
        ("builtin", 0.0, "only reviews are known here"),
    ]


def test_a_question_is_paid_once(log: RunLog, catalogue: Catalogue) -> None:
    """Asked again by a replay, also one with less time left, it is answered from the journal; a fresh run asks anew."""
    with LlmServer(scripted_team()) as server:
        llm = LlmExpert("openai:scripted", base_url=server.url)
        first = RecordedExpert(llm, log, Journal(catalogue, "run-1")).ask(plan_question(seconds_left=40.0))
        again = RecordedExpert(llm, log, Journal(catalogue, "run-1")).ask(plan_question(seconds_left=21.5))
        other = RecordedExpert(llm, log, Journal(catalogue, "run-2")).ask(plan_question(seconds_left=40.0))
        assert first == again == other
        assert server.calls == 1
        RecordedExpert(llm, log, Journal(catalogue, "run-3", fresh=True)).ask(plan_question(seconds_left=40.0))
        assert server.calls == 2
    assert [row["cached"] for row in log.exchanges()] == [False, True, True, False]


@pytest.mark.parametrize("change", ["question", "model", "temperature", "template"])
def test_a_changed_question_is_asked(log: RunLog, catalogue: Catalogue, tmp_path: Path, change: str) -> None:
    """Whatever decides the reply is part of the key."""
    from tools.experts.prompting import Prompts

    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "reviewer_review.md.j2").write_text("Review it. {{ facts | block('facts') }}")
    with LlmServer([{"answer": REVIEW}]) as server:
        options: dict[str, Any] = {"base_url": server.url}
        others: dict[str, dict[str, Any]] = {
            "question": {},
            "model": {},
            "temperature": {"temperature": 0.1},
            "template": {"prompts": Prompts(tmp_path / "prompts")},
        }
        journal = Journal(catalogue, "run-1")
        RecordedExpert(LlmExpert("openai:one", **options), log, journal).ask(review_question())
        name = "openai:two" if change == "model" else "openai:one"
        question = review_question(facts={"candidate": "i0-other"}) if change == "question" else review_question()
        RecordedExpert(LlmExpert(name, **options, **others[change]), log, journal).ask(question)
        assert server.calls == 2


KILLED_AFTER_ASKING = """
import os, signal, sys
from pathlib import Path
from tests.support.questions import program_question
from tools.catalogue import Catalogue
from tools.experts.llm import LlmExpert
from tools.experts.recorded import RecordedExpert
from tools.journal import Journal
from tools.runlog import RunLog

folder, address, deadly = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
journal = Journal(Catalogue(folder / "catalogue.db"), "run-1")
replies = 0

class Deadly:
    def effect_now(self, key, kind, make):
        global replies
        found = journal.effect_now(key, kind, make)
        replies += 1
        if replies == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    def takes_over(self, key):
        return journal.takes_over(key)

expert = RecordedExpert(LlmExpert("openai:scripted", base_url=address), RunLog(folder / "run.db"), Deadly())
print(expert.ask(program_question()).code)
"""


def test_a_killed_process_leaves_nothing_to_pay_twice(tmp_path: Path) -> None:
    """Killed after the unusable first reply, the next process goes on with the second one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with LlmServer(scripted_team(stumble=True)) as server:

        def run(deadly: int) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-c", KILLED_AFTER_ASKING, str(tmp_path), server.url, str(deadly)]
            return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

        assert run(1).returncode == -signal.SIGKILL
        assert server.calls == 1
        second = run(0)
        assert MARKER in second.stdout, second.stderr
        assert server.calls == 2
        third = run(0)
        assert third.stdout == second.stdout
        assert server.calls == 2
    log = RunLog(tmp_path / "run.db")
    first, second_time = log.exchanges()
    assert (first["cached"], second_time["cached"]) == (False, True)
    assert [turn["reused"] for turn in first["question"]["turns"]] == [False, False], (
        "the reply of the dead is on its bill"
    )


# ---- fallback and opening -----------------------------------------------------------------------------------------------


def test_the_second_expert_answers_and_it_is_said(log: RunLog, catalogue: Catalogue) -> None:
    """The note names model, role and cause; the answer's true author can be had."""
    notes: list[tuple[str, str]] = []
    with LlmServer([{"status": 401, "error": "bad key"}]) as server:
        journal = Journal(catalogue, "run-1")
        llm = RecordedExpert(LlmExpert("openai:scripted", base_url=server.url), log, journal)
        expert = FallbackExpert(
            llm, RecordedExpert(FixedExpert(), log, journal), lambda text, role: notes.append((text, role))
        )
        answer, author = ask_and_name(expert, review_question())
    assert (answer.summary, author, expert.name) == ("by rule", "builtin", "openai:scripted")
    ((text, role),) = notes
    assert role == "reviewer"
    assert "openai:scripted" in text
    assert "the builtin expert answers instead" in text
    assert [row["expert"] for row in log.exchanges()] == ["openai:scripted", "builtin"]


def test_when_neither_knows_both_reasons_are_told() -> None:
    """The error of a question nobody could answer names both causes."""
    with LlmServer([NOT_JSON]) as server:
        expert = FallbackExpert(
            LlmExpert("openai:scripted", base_url=server.url), FixedExpert(), lambda text, role: None
        )
        with pytest.raises(ExpertError) as caught:
            expert.ask(program_question(plan=program_question().plan.but(recipe="")))
    assert "replies in a row" in str(caught.value) or "valid Python" in str(caught.value)
    assert "only reviews are known here" in str(caught.value)


def test_an_expert_opened_from_settings_answers(log: RunLog, catalogue: Catalogue, monkeypatch: Any) -> None:
    """Role, server, key and prompts come from the settings; the key gets into none of the databases."""
    monkeypatch.setenv("TEAM_KEY", CANARY)
    notes: list[str] = []
    with LlmServer(scripted_team(stumble=True), key=CANARY) as server:
        settings = Settings(experts={"engineer": "openai/scripted"}, base_url=server.url, api_key_env="TEAM_KEY")
        journal = Journal(catalogue, "run-1")
        expert = open_expert(
            "engineer", settings, runlog=log, journal=journal, note=lambda text, role: notes.append(text)
        )
        assert expert.name == "openai:scripted"
        assert MARKER in expert.ask(program_question()).code
        assert "lightgbm" in server.prompts()
        assert CANARY not in server.prompts()
    assert notes == []
    for database in Path(log.database.path).parent.glob("*.db*"):
        assert CANARY.encode() not in database.read_bytes(), database.name


def test_opening_refuses_what_is_no_expert(log: RunLog, catalogue: Catalogue) -> None:
    """A misspelled expert is an error of usage, before any work starts."""
    settings = Settings(expert="gpt-5-mini")
    with pytest.raises(UsageError, match="provider:model"):
        open_expert("engineer", settings, runlog=log, journal=Journal(catalogue, "run-1"), note=lambda text, role: None)


def test_the_builtin_expert_needs_no_model_library() -> None:
    """Opening the builtin expert imports neither the model client nor what it stands on."""
    code = (
        "import sys\nfrom state.settings import Settings\nfrom tools.experts.opening import open_expert\n"
        "open_expert('engineer', Settings(), runlog=None, journal=None, note=None)\n"
        "print([name for name in ('langchain_openai', 'openai', 'jinja2.sandbox', 'genai_prices') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


# ---- prices -----------------------------------------------------------------------------------------------------------------


def test_known_models_have_a_price_and_local_ones_none() -> None:
    """A server of one's own is never priced like the provider whose model name it uses."""
    assert price("gpt-4o-mini", "openai", "", 1_000_000, 0) == pytest.approx(0.15)
    assert price("gpt-4o-mini", "openai", "http://127.0.0.1:8000/v1", 1_000_000, 0) is None
    assert price("a-model-nobody-sells", "openai", "", 1, 1) is None
