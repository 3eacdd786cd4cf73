"""An expert that asks a language model: one question, one valid answer, and a few chances to correct itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from state.errors import ExpertError
from state.questions import Answer, Question
from state.records import content_key
from tools.experts.chat import ChatServer, Endpoint
from tools.experts.exchange import Exchange, Reply, Turn, answer_of
from tools.experts.faults import ServerError
from tools.experts.methods import Message
from tools.experts.pricing import price
from tools.experts.prompting import Prompt, Prompts
from tools.experts.provider import parse_spec
from tools.experts.redaction import shorten
from tools.experts.replies import ReplyError, read_reply
from tools.experts.schemas import Form, form_of

A = TypeVar("A", bound=Answer)

REPAIRS = 3
"""Further turns in which a model may correct an unusable reply."""
_REPLY_SHOWN = 24_000  # characters of an unusable reply that go back into the conversation
_VOLATILE = frozenset({"seconds_left"})  # differs at every run of a node, so it is told but is no part of the key


Paid = Callable[[str, str, Callable[[], dict[str, Any]]], tuple[dict[str, Any], bool]]
"""`Journal.effect_now(key, kind, make)`: the result, made at most once per key, and whether it was reused."""


class LlmExpert:
    """Answers questions through an OpenAI-compatible server.

    The key is read from the environment variable at each request and kept nowhere. `ask` raises ExpertError naming
    role, model and cause, without keys. `prompts` renders the questions.
    """

    def __init__(
        self,
        spec: str,
        *,
        base_url: str = "",
        api_key_env: str = "OPENAI_API_KEY",
        timeout: float = 900.0,
        temperature: float = 1.0,
        repairs: int = REPAIRS,
        retries: int = 2,
        longest_wait: float = 60.0,
        prompts: Prompts | None = None,
        seconds_left: Callable[[], float] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        parsed = parse_spec(spec)
        if parsed.provider != "openai" and not base_url:
            raise ExpertError(
                f"the provider {parsed.provider!r} of {spec!r} is not known here",
                hint="set base_url to its OpenAI-compatible address",
            )
        self.name = str(parsed)
        self.endpoint = Endpoint(parsed, base_url, api_key_env, timeout, temperature, retries, longest_wait)
        self._repairs = repairs
        self._prompts = prompts or Prompts()
        self._server = ChatServer(self.endpoint, seconds_left=seconds_left, say=say)

    def ask(self, question: Question[A]) -> A:
        """Answer a question with the record its class names. Raises ExpertError."""
        return answer_of(self.exchange(question), question)

    def exchange(self, question: Question[Any], paid: Paid | None = None) -> Exchange:
        """Ask, and tell all about it; a failure to get an answer is told too, not raised.

        paid: makes each request an effect of the journal, so that a replay repeats none that has finished.
        """
        started = time.monotonic()
        prompt = self._rendered(question)
        form = form_of(question)
        messages: list[Message] = [("system", prompt.system), ("user", prompt.user)]
        turns: list[Turn] = []
        answer: Answer | None = None
        error, hint = "", ""
        while answer is None and not error:
            try:
                reply, reused, key = self._reply(question, prompt, form, messages, turns, paid)
            except ServerError as failure:
                error, hint = failure.reason, failure.hint
                break
            try:
                answer = _answer(reply, question, self._prompts.recipes)
                turns.append(Turn(reply=reply, reused=reused, key=key))
            except ReplyError as unusable:
                turns.append(Turn(reply=reply, reused=reused, key=key, problems=unusable.problems))
                messages += self._correction(turns[-1], form)
                error, hint = self._given_up(turns)
        return self._told(question, prompt, turns, answer, error, hint, time.monotonic() - started)

    def _rendered(self, question: Question[Any]) -> Prompt:
        prompt = self._prompts.render(question)
        # A key can only be in here if someone put it into the data; it is not passed on even then.
        return prompt._replace(system=self.endpoint.redact(prompt.system), user=self.endpoint.redact(prompt.user))

    def _reply(
        self,
        question: Question[Any],
        prompt: Prompt,
        form: Form,
        messages: list[Message],
        turns: list[Turn],
        paid: Paid | None,
    ) -> tuple[Reply, bool, str]:
        """The reply to a conversation, through the journal when there is one: then with its key there."""
        if paid is None:
            return self._server.reply(messages, form), False, ""
        key = self._key(question, prompt, turns)
        result, reused = paid(key, "llm", lambda: self._server.reply(messages, form).plain())
        return Reply.model_validate(result), reused, key

    def _key(self, question: Question[Any], prompt: Prompt, turns: list[Turn]) -> str:
        """Content key of the next reply: the question and what was replied so far, not the clock."""
        asked = {name: value for name, value in question.model_dump().items() if name not in _VOLATILE}
        return content_key(
            {
                "kind": "llm",
                "model": self.name,
                "server": self.endpoint.base_url,
                "temperature": self.endpoint.temperature,
                "question": {"type": type(question).__name__, "asked": asked},
                "template": prompt.digest,
                "before": [turn.reply.text for turn in turns],
            }
        )

    def _correction(self, turn: Turn, form: Form) -> list[Message]:
        said = shorten(turn.reply.text, _REPLY_SHOWN) or "(no text)"
        wanted = self._prompts.correction(turn.problems, form.schema)
        return [("assistant", said), ("user", self.endpoint.redact(wanted))]

    def _given_up(self, turns: list[Turn]) -> tuple[str, str]:
        """Whether it is time to stop asking: error and hint, both empty while there is hope."""
        last = turns[-1]
        declined = sum(turn.reply.finish in ("refusal", "content_filter") for turn in turns)
        if declined > 1:
            return f"the model declines to answer: {shorten(last.problems[0], 300)}", "use another model for this role"
        if len(turns) > self._repairs:
            what = shorten("; ".join(last.problems), 500)
            return f"{len(turns)} replies in a row could not be used, the last because {what}", "use a stronger model"
        return "", ""

    def _told(
        self,
        question: Question[Any],
        prompt: Prompt,
        turns: list[Turn],
        answer: Answer | None,
        error: str,
        hint: str,
        seconds: float,
    ) -> Exchange:
        spec, base_url = self.endpoint.spec, self.endpoint.base_url
        prices = [
            price(spec.model, spec.provider, base_url, turn.reply.tokens_in, turn.reply.tokens_out)
            for turn in turns
            if not turn.reused
        ]
        known = [one for one in prices if one is not None]
        cached = bool(turns) and all(turn.reused for turn in turns)
        if cached:
            hint = f"{hint}; these replies are remembered from before, and a build with --fresh asks anew"
        reason = self.endpoint.redact(error)
        message = f"{self.name} gave no answer to the {question.role} ({_wanted(question)}): {reason}"
        return Exchange(
            answer=None if answer is None else answer.plain(),
            error=message if answer is None else "",
            hint=hint if answer is None else "",
            prompt=prompt._asdict(),
            turns=turns,
            tokens_in=sum(turn.reply.tokens_in for turn in turns),
            tokens_out=sum(turn.reply.tokens_out for turn in turns),
            cost=None if len(known) < len(prices) else sum(known),
            cached=cached,
            seconds=round(seconds, 3),
        )


def _answer(reply: Reply, question: Question[Any], recipes: list[str]) -> Answer:
    """The valid answer in a reply. Raises ReplyError; a reply that was cut off is never read."""
    if reply.finish == "length":
        raise ReplyError(["the reply was cut off at the server's length limit; answer more briefly, and completely"])
    if reply.finish == "content_filter":
        raise ReplyError(["the reply was withheld by the server's content filter; use neutral, technical words"])
    if reply.finish == "refusal":
        raise ReplyError([f"the question was declined ({reply.text[:200]!r}); it asks for data-science work only"])
    if reply.finish == "other function":
        raise ReplyError([f"{reply.text[:80]!r} is no function here; call {form_of(question).name}"])
    if not reply.finish and not _is_json(reply.text):
        raise ReplyError(["the reply stopped before it was complete; answer again, completely"])
    return read_reply(reply.text, question, recipes)


def _is_json(text: str) -> bool:
    try:
        json.loads(text, strict=False)
    except ValueError:
        return False
    return True


def _wanted(question: Question[Any]) -> str:
    return type(question).__name__.removesuffix("Question").lower()


__all__ = ["REPAIRS", "LlmExpert", "Paid"]
