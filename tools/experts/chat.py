"""One reply from an OpenAI-compatible server: how the answer's form is asked for, deadlines, retries, usage."""

from __future__ import annotations

import contextvars
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tools.experts.exchange import Method, Reply
from tools.experts.faults import SLOW, Fault, ServerError, fault_of
from tools.experts.methods import METHODS, Message, ask_for, read_message
from tools.experts.provider import Spec
from tools.experts.redaction import clean, redact
from tools.experts.schemas import Form

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_openai import ChatOpenAI

T = TypeVar("T")

CONNECT_SECONDS = 15.0
_SHORTEST = 1.0  # seconds; with less time left no request is started
_KEPT = 1_000_000  # characters of a reply that are kept at all; far above what a reader accepts

_agreed: dict[tuple[str, str], Method] = {}
"""Per server and model: the way of asking that worked. Shared by all experts of the process."""
_agreed_lock = threading.Lock()


@dataclass(frozen=True)
class Endpoint:
    """Where and how to ask. Holds the name of the key's environment variable, never the key."""

    spec: Spec
    base_url: str = ""
    """Empty for the provider's own server."""
    api_key_env: str = "OPENAI_API_KEY"
    timeout: float = 900.0
    """Most seconds of one request, from sending to the last byte."""
    temperature: float = 1.0
    retries: int = 2
    """Further tries after a fault that may pass."""
    longest_wait: float = 60.0
    """Seconds; a server that asks for a longer pause is not waited for."""

    @property
    def key(self) -> str:
        return os.environ.get(self.api_key_env, "").strip()

    def redact(self, text: str) -> str:
        """The text without this endpoint's key or anything shaped like one."""
        return redact(text, self.key)


class _Heard(NamedTuple):
    finish: str
    text: str
    usage: tuple[int, int] | None


class ChatServer:
    """Asks one model for replies. Safe to use from several threads.

    seconds_left: wall seconds the caller may still spend; no request is given more. say: told when a wait is long.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        seconds_left: Callable[[], float] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._seconds_left = seconds_left
        self._say = say
        self._place = (endpoint.base_url, str(endpoint.spec))

    def reply(self, messages: list[Message], form: Form) -> Reply:
        """One reply of the model. Raises ServerError when there is none to be had."""
        refusal: Fault | None = None
        first = METHODS.index(_agreed.get(self._place, METHODS[0]))
        for method in METHODS[first:]:
            outcome = self._persist(method, messages, form)
            if isinstance(outcome, Reply):
                with _agreed_lock:
                    _agreed[self._place] = method
                return outcome
            refusal = outcome
        assert refusal is not None
        raise ServerError(self.endpoint.redact(refusal.reason), refusal.hint)

    def _persist(self, method: Method, messages: list[Message], form: Form) -> Reply | Fault:
        """A reply, after as many tries as the faults deserve; or the fault, when another method is called for."""
        failures = 0
        while True:
            outcome = self._request(method, messages, form, self._allowance())
            if isinstance(outcome, Reply) or outcome.remedy == "other method":
                return outcome
            failures += 1
            if failures > self._tries_allowed(outcome):
                raise ServerError(self.endpoint.redact(outcome.reason), outcome.hint)
            self._pause(outcome, failures)

    def _tries_allowed(self, fault: Fault) -> int:
        retries = self.endpoint.retries
        return {"again": retries, "once more": min(1, retries)}.get(fault.remedy, 0)

    def _allowance(self) -> float:
        """Seconds the next request may take."""
        if self._seconds_left is None:
            return self.endpoint.timeout
        left = self._seconds_left()
        if left < _SHORTEST:
            raise ServerError("no time is left to ask", "raise the time limit, then resume the run")
        return min(self.endpoint.timeout, left)

    def _pause(self, fault: Fault, failures: int) -> None:
        reason = self.endpoint.redact(fault.reason)
        wait = fault.wait
        if wait is None:
            wait = min(0.5 * 2.0 ** (failures - 1), 8.0) * random.uniform(0.75, 1.0)  # noqa: S311 - spreads retries, no secret
        limit = self.endpoint.longest_wait
        if self._seconds_left is not None:
            limit = min(limit, self._seconds_left() - _SHORTEST)
        if wait > limit:
            raise ServerError(f"{reason}; it asks to wait {wait:.0f} s, longer than can be waited", fault.hint)
        if wait >= 5 and self._say is not None:
            self._say(f"{self.endpoint.spec} asks to wait {wait:.0f} s ({reason})")
        time.sleep(wait)

    def _request(self, method: Method, messages: list[Message], form: Form, seconds: float) -> Reply | Fault:
        """One HTTP request: a reply, or the fault that kept it from coming."""
        import openai

        started = time.monotonic()
        said, options = ask_for(method, messages, form)
        with closing(openai.DefaultHttpxClient(proxy=os.environ.get("OPENAI_PROXY") or None)) as http_client:
            client = self._client(http_client, seconds)
            heard = self._hear(lambda: client.invoke(said, **options), form, seconds)
        if isinstance(heard, Fault):
            return heard
        text = clean(self.endpoint.redact(heard.text[:_KEPT]))
        tokens_in, tokens_out = heard.usage or (_estimate(said), len(text) // 4)
        return Reply(
            text=text,
            finish=heard.finish,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            estimated=heard.usage is None,
            method=method,
            seconds=round(time.monotonic() - started, 3),
        )

    def _hear(self, invoke: Callable[[], AIMessage], form: Form, seconds: float) -> _Heard | Fault:
        """What came back, with everything that can go wrong in a request turned into a fault."""
        import openai

        try:
            message = _within(seconds, invoke)
            return _Heard(*read_message(message, form), _usage(message.usage_metadata))
        except openai.LengthFinishReasonError as error:
            return _Heard("length", "", _completion_usage(error.completion))
        except openai.ContentFilterFinishReasonError as error:
            return _Heard("content_filter", "", _completion_usage(error.completion))
        except openai.OpenAIError as error:
            return fault_of(error, self.endpoint.api_key_env)
        except TimeoutError:
            return Fault("once more", f"no complete reply within {seconds:.0f} s", SLOW)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # The client library passes the server's body through: an HTML page, no choices, JSON of another shape.
            return Fault("again", f"the reply is no chat completion ({type(error).__name__})", "check base_url")

    def _client(self, http_client: Any, seconds: float) -> ChatOpenAI:
        from langchain_openai import ChatOpenAI
        from pydantic import SecretStr

        endpoint = self.endpoint
        if not endpoint.key and not endpoint.base_url:
            raise ServerError(
                f"the environment variable {endpoint.api_key_env} is not set",
                f"put the key of {endpoint.spec.provider} there, or set base_url to a server of your own",
            )
        return ChatOpenAI(
            model=endpoint.spec.model,
            base_url=endpoint.base_url or None,
            api_key=SecretStr(endpoint.key or "none"),  # the client wants one even where the server does not
            timeout=(min(CONNECT_SECONDS, seconds), seconds),
            max_retries=0,  # retried here, where the time left and the kind of fault are known
            temperature=endpoint.temperature,
            use_responses_api=False,  # some model names would silently switch to a protocol others do not speak
            http_client=http_client,
            openai_proxy="",  # our client has the proxy already, and only one may have it
            disable_streaming=True,  # a graph that streams its messages would otherwise switch the request to streaming
            cache=False,  # the journal remembers replies
        )


def _usage(usage: Any) -> tuple[int, int] | None:
    return (int(usage["input_tokens"]), int(usage["output_tokens"])) if usage else None


def _completion_usage(completion: Any) -> tuple[int, int] | None:
    usage = getattr(completion, "usage", None)
    return (int(usage.prompt_tokens), int(usage.completion_tokens)) if usage else None


def _estimate(messages: list[Message]) -> int:
    return sum(len(text) for _, text in messages) // 4


def _within(seconds: float, call: Callable[[], T]) -> T:
    """The call's result, or TimeoutError after `seconds`.

    The client's own timeout holds for each read, so a server that sends a byte now and then would never end. The thread
    is a daemon: closing the client ends its reads, and it cannot hold up the end of the process.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread, which raises it
            future.set_exception(error)

    threading.Thread(target=run, name="llm request", daemon=True).start()
    return future.result(timeout=seconds + 1.0)


__all__ = ["ChatServer", "Endpoint"]
