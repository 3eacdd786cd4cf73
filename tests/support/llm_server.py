"""A real HTTP server on loopback that speaks the OpenAI chat completions protocol, with scripted replies.

    with LlmServer(["not JSON", {"answer": {...}}]) as server:
        expert = LlmExpert("openai:scripted", base_url=server.url)
        ...
        assert server.calls == 2

A script is a list of replies (used up in order, the last one again and again) or a callable from the request's JSON to
a reply. A reply is a text, or a dict with any of

    answer      plain data, packed as the request wants it: JSON text, or the arguments of the function called
    content     the message's text as it is (None too)          tool_calls  [(name, arguments as text), …]
    refusal     the model's refusal                             finish      finish_reason (None: left out)
    usage       (prompt, completion), or None for no usage      status, headers, error, error_code: an HTTP error
    delay       seconds before anything is sent                 dribble     seconds between single bytes of the body
    raw         bytes sent as the body, as they are             cut         send only this many bytes, then hang up
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Reply = str | dict[str, Any]
Script = list[Reply] | Callable[[dict[str, Any]], Reply]

ALL_METHODS = frozenset({"json_schema", "function_calling", "json_mode"})


class _Listener(ThreadingHTTPServer):
    """As the library's, but a caller that was killed is no error of the server's."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class LlmServer:
    """Serves `POST {url}/chat/completions`. Records every request it answers.

    supports: ways of structured output it knows; others are refused with 400, as real servers do. A request for a JSON
    schema must be strict and is held against the rules of strict schemas.
    key: when set, requests with another bearer get 401.
    """

    def __init__(self, script: Script, *, supports: frozenset[str] = ALL_METHODS, key: str | None = None) -> None:
        self.supports = supports
        self.key = key
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.refused: list[str] = []
        """Messages of the requests refused for what they asked, in order."""
        self.released = threading.Event()
        """Set on close, so that a reply that is being delayed or dribbled does not outlive the test."""
        self._script = script
        self._place = itertools.count()
        self._lock = threading.Lock()
        self._http = _Listener(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @property
    def calls(self) -> int:
        """Requests that came in, refused ones included."""
        return len(self.requests)

    def prompts(self) -> str:
        """All text of all messages that ever came in."""
        return "\n".join(str(message["content"]) for request in self.requests for message in request["messages"])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()

    def take(self, request: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """Record a request and decide the reply."""
        with self._lock:
            self.requests.append(request)
            self.headers.append(headers)
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            return {"status": 401, "error": f"Incorrect API key provided: {headers.get('authorization')}"}
        problem = self._unsupported(request)
        if problem is not None:
            self.refused.append(problem)
            return {"status": 400, "error": problem}
        if callable(self._script):
            reply = self._script(request)
        else:
            with self._lock:
                reply = self._script[min(next(self._place), len(self._script) - 1)]
        return {"content": reply} if isinstance(reply, str) else reply

    def _unsupported(self, request: dict[str, Any]) -> str | None:
        method = method_of(request)
        if method != "text" and method not in self.supports:
            return f"this server knows no {method}"
        if method == "json_schema":
            wanted = request["response_format"]["json_schema"]
            if not wanted.get("strict"):
                return "response_format.json_schema.strict must be true"
            faults = list(strict_faults(wanted["schema"]))
            return f"Invalid schema for response_format: {faults[0]}" if faults else None
        if method == "json_mode" and "json" not in str(request["messages"]).lower():
            return "'messages' must contain the word 'json' to use 'response_format' of type 'json_object'"
        return None


def method_of(request: dict[str, Any]) -> str:
    """How a request asks for the form of its answer: json_schema, function_calling, json_mode or text."""
    if request.get("tools"):
        return "function_calling"
    return {"json_schema": "json_schema", "json_object": "json_mode"}.get(
        request.get("response_format", {}).get("type", ""), "text"
    )


def strict_faults(node: Any, place: str = "schema") -> Iterator[str]:
    """What breaks the rules of strict JSON schemas: open objects, optional properties, defaults."""
    if isinstance(node, list):
        for number, item in enumerate(node):
            yield from strict_faults(item, f"{place}.{number}")
    if not isinstance(node, dict):
        return
    if node.get("type") == "object":
        if node.get("additionalProperties") is not False:
            yield f"{place}: additionalProperties must be false"
        if sorted(node.get("required", [])) != sorted(node.get("properties", {})):
            yield f"{place}: required must name every property"
    if "default" in node:
        yield f"{place}: default is not permitted"
    for name, item in node.items():
        if name in ("properties", "$defs"):
            for key, inner in item.items():
                yield from strict_faults(inner, f"{place}.{key}")
        elif name != "required":
            yield from strict_faults(item, f"{place}.{name}")


def _handler(server: LlmServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if not self.path.endswith("/chat/completions"):
                self._send(404, b'{"error": {"message": "no such path"}}', {})
                return
            request = json.loads(body)
            reply = server.take(request, {name.lower(): value for name, value in self.headers.items()})
            if server.released.wait(reply.get("delay", 0)):
                return
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client gave up, as some tests want
                self._answer(request, reply)

        def _answer(self, request: dict[str, Any], reply: dict[str, Any]) -> None:
            headers = {name: str(value) for name, value in reply.get("headers", {}).items()}
            if reply.get("status", 200) != 200:
                error = {"message": reply.get("error", "an error"), "type": "error", "code": reply.get("error_code")}
                self._send(reply["status"], json.dumps({"error": error}).encode(), headers)
            elif "raw" in reply:
                self._send(200, reply["raw"], headers)
            elif request.get("stream"):
                self._stream(request, reply)
            else:
                body = json.dumps(_completion(request, reply)).encode()
                self._send(200, body, headers, cut=reply.get("cut"), dribble=reply.get("dribble", 0.0))

        def _send(
            self, status: int, body: bytes, headers: dict[str, str], *, cut: int | None = None, dribble: float = 0.0
        ) -> None:
            self.send_response(status)
            self.send_header("content-type", headers.pop("content-type", "application/json"))
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if dribble:
                for position in range(len(body)):
                    self.wfile.write(body[position : position + 1])
                    if server.released.wait(dribble):
                        return
            self.wfile.write(b"" if dribble else body[:cut])
            if cut is not None:
                self.close_connection = True

        def _stream(self, request: dict[str, Any], reply: dict[str, Any]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            for chunk in _chunks(request, reply):
                self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                self.wfile.flush()
            if reply.get("cut") is None:
                self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Keep the test output quiet."""

    return Handler


def _message(request: dict[str, Any], reply: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The assistant's message and finish_reason of a reply, in the form the request asked for."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.get("content"), "refusal": reply.get("refusal")}
    calls = reply.get("tool_calls")
    if "answer" in reply:
        text = json.dumps(reply["answer"])
        if method_of(request) == "function_calling":
            calls = [(request["tools"][0]["function"]["name"], text)]
        else:
            message["content"] = text
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(calls)
        ]
    return message, reply.get("finish", "tool_calls" if calls else "stop")


def _usage(request: dict[str, Any], message: dict[str, Any], reply: dict[str, Any]) -> dict[str, int] | None:
    counted = (len(json.dumps(request["messages"])) // 4, len(json.dumps(message)) // 4)
    usage = reply.get("usage", counted)
    if usage is None:
        return None
    return {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}


def _completion(request: dict[str, Any], reply: dict[str, Any]) -> dict[str, Any]:
    message, finish = _message(request, reply)
    body: dict[str, Any] = {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
    }
    usage = _usage(request, message, reply)
    return body if usage is None else {**body, "usage": usage}


def _chunks(request: dict[str, Any], reply: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Server-sent chunks of a reply; `cut` is then the number of pieces after which the stream just ends."""
    message, finish = _message(request, reply)
    head = {"id": "chatcmpl-loopback", "object": "chat.completion.chunk", "created": 0, "model": request["model"]}
    yield {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    text = message["content"] or ""
    for number, start in enumerate(range(0, len(text), 40)):
        if reply.get("cut") is not None and number >= reply["cut"]:
            return
        delta = {"content": text[start : start + 40]}
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    for number, call in enumerate(message.get("tool_calls", [])):
        delta = {"tool_calls": [{"index": number, **call}]}
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    usage = _usage(request, message, reply)
    if usage is not None and request.get("stream_options", {}).get("include_usage"):
        yield {**head, "choices": [], "usage": usage}


__all__ = ["ALL_METHODS", "LlmServer", "Reply", "Script", "method_of", "strict_faults"]
