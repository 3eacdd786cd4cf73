"""Keeps keys out of prompts, replies, logs and messages, and makes foreign text fit to be stored."""

from __future__ import annotations

import re
from typing import Any

_KEY_SHAPES = re.compile(r"\b(?:sk|pk|rk|gsk|xai)-[A-Za-z0-9_\-*]{6,}|(?i:bearer)\s+[A-Za-z0-9._~+/\-]{8,}=*")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SHORTEST_SECRET = 6  # a shorter "key" (none, x, test) is no secret, and replacing it would maim ordinary text


def redact(text: str, secret: str = "") -> str:
    """The text without `secret` and without anything of the shape of an API key or bearer token."""
    if len(secret) >= _SHORTEST_SECRET:
        text = text.replace(secret, "[key]")
    return _KEY_SHAPES.sub("[key]", text)


def clean(value: Any) -> Any:
    """Plain data with NUL removed and lone surrogates replaced in every string, keys included.

    SQLite cuts a text at NUL and neither it nor JSON files can hold a lone surrogate.
    """
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value.replace("\x00", ""))
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


def shorten(text: str, limit: int) -> str:
    """The text, or its start and end with a note of how much was left out; the result has about `limit` characters."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail]} … [{len(text) - limit} characters left out] … {text[-tail:]}"


__all__ = ["clean", "redact", "shorten"]
