"""What went wrong with a request to a model server, and what that calls for: another try, another method, the end."""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import openai

Remedy = Literal["again", "once more", "other method", "none"]
"""again: try again, up to the retries allowed · once more: one further try · other method: ask for the answer's form in
another way · none: nothing helps but a person."""

SLOW = "raise llm_timeout, or use a faster model"
_OVERFLOW = ("context_length", "context length", "context window", "maximum context", "prompt is too long")
_TOO_LONG = "the question does not fit into this model's context; use a model with a longer one"
_NO_CREDIT = ("insufficient_quota", "billing", "credit", "exceeded your current quota")


class ServerError(Exception):
    """The server gave no reply. `reason` and `hint` are sentences without keys."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True)
class Fault:
    """One failed request."""

    remedy: Remedy
    reason: str
    hint: str = ""
    wait: float | None = None
    """Seconds the server asked to wait before the next request."""


def fault_of(error: openai.OpenAIError, key_env: str) -> Fault:
    """Sort an error of the client library. The reason quotes the server's words; the caller redacts them."""
    import openai

    if isinstance(error, openai.APITimeoutError):
        return Fault("once more", "no reply in time", SLOW)
    if isinstance(error, openai.APIConnectionError):
        return Fault("again", "the server cannot be reached", "check base_url and that the server runs")
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, key_env)
    if any(word in str(error).lower() for word in _OVERFLOW):
        return Fault("none", "the question is too long for this model", _TOO_LONG)
    return Fault("again", f"the reply could not be read ({type(error).__name__})")


def _of_status(error: openai.APIStatusError, key_env: str) -> Fault:
    code = error.status_code
    words = f"{error.message} {error.body!r}".lower()
    said = f"the server answered {code}: {' '.join(str(error.message).split())[:300]}"
    if code in (401, 403):
        return Fault("none", said, f"check the key in the environment variable {key_env} and what it is allowed to use")
    if code == 402 or (code == 429 and any(word in words for word in _NO_CREDIT)):
        return Fault("none", said, "add credit, then resume the run")
    if any(word in words for word in _OVERFLOW):
        return Fault("none", said, _TOO_LONG)
    if code == 404:
        return Fault("none", said, "check the model's name and base_url")
    if code == 429:
        return Fault("again", said, "wait a while, then resume the run", wait=_asked_wait(error))
    if code in (408, 409, 425) or (code >= 500 and code != 501):
        return Fault("again", said, "the server has trouble; resume the run later", wait=_asked_wait(error))
    # 400, 422, 501 and the like: most often a way of asking for JSON that this server does not know, however put.
    return Fault("other method", said, "check the model's name, base_url and temperature")


def _asked_wait(error: openai.APIStatusError) -> float | None:
    """Seconds in Retry-After, which holds a number or a date; None when absent or nonsense."""
    headers = error.response.headers
    for name, divisor in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) / divisor
        except ValueError:
            moment = email.utils.parsedate_tz(text)
            if moment is None:
                continue
            seconds = email.utils.mktime_tz(moment) - time.time()
        if seconds >= 0:
            return seconds
    return None


__all__ = ["SLOW", "Fault", "ServerError", "fault_of"]
