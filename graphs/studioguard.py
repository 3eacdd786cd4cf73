"""Who may talk to the LangGraph server: the guard in front of every request, web sockets and documentation included.

A server on loopback is reachable by every web page a person has open. `langgraph dev` by itself answers all of them: it has
no token, allows every origin, and takes whatever `Host` it is called by, so a page can start runs, directly or through a
name that it lets point at 127.0.0.1 (DNS rebinding). The guard lets a request through when all of this holds:

1. `Host` is a loopback name with the port the request came in at. A rebinding page sends its own name here, and a browser
   lets no page choose this header.
2. `Origin`, when there is one, is the server itself. A browser sends it with every request of another site that is no plain
   GET, and no page can forge or leave it out.
3. The token is in a header, `Authorization: Bearer` or `x-api-key`. Another site cannot send those without asking first
   (preflight), and the question is refused by 2. This alone also holds against other people on this machine.

LangChain's hosted Studio page is another origin and sends no header of ours. Where a person lets it in, it gets an address
that holds a key of its own, `/key/KEY/…`. That key is good only together with the page's `Origin`: whoever finds it in a
browser's history can do nothing with it from another page.

Only digests of token and key are kept here. The guard is the outermost of the server's layers, so no route, present or
future, lies outside of it; requests of the server to itself do not pass through a socket, and are let through.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from state.errors import UsageError

if TYPE_CHECKING:  # the command looks into this module to say that the extra is missing
    from starlette.types import ASGIApp, Receive, Scope, Send

STUDIO_PAGE = "https://smith.langchain.com"
TOKEN_VARIABLE = "MODELWRIGHT_STUDIO_TOKEN"  # noqa: S105 - the variable's name
SHORTEST_TOKEN = 16
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PASSED = "modelwright.passed"
"""Key of an ASGI scope that the guard has let through. No request can set it."""
_KEY_PATH = "/key/"
_CLOSED = ("/deploy", "/internal")
"""Routes of the development server that send the project elsewhere, or empty the server."""

_log = logging.getLogger("modelwright.studio")


@dataclass(frozen=True)
class Keys:
    """SHA-256 of the token, and of the hosted page's key when that page is let in."""

    token: str
    page: str = ""


_keys: list[Keys] = []


def digest(secret: str) -> str:
    """What a secret is known by here."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def checked_token(token: str) -> str:
    """A token somebody chose. Raises UsageError when it can be guessed or does not fit into a header."""
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"{TOKEN_VARIABLE} holds no usable token: it needs at least {SHORTEST_TOKEN} letters, digits or signs, no space",
            hint="unset it and one is made up, or take `python -c 'import secrets; print(secrets.token_urlsafe())'`",
        )
    return token


def use_keys(keys: Keys) -> None:
    """What the guard of this process checks against."""
    _keys[:] = [keys]


def keys() -> Keys:
    """What the guard checks against. Raises UsageError when nobody has said so: then there is to be no server.

    `modelwright studio` says so. A bare `langgraph dev` takes MODELWRIGHT_STUDIO_TOKEN, which no child inherits then.
    """
    if not _keys:
        token = os.environ.pop(TOKEN_VARIABLE, "")
        if not token:
            raise UsageError(
                "without a token any web page could start runs on this server",
                hint=f"start it with `modelwright studio`, or set {TOKEN_VARIABLE}",
            )
        use_keys(Keys(digest(checked_token(token))))
    return _keys[0]


class Guard:
    """ASGI layer that answers what may not pass, and marks what may."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if (
            scope.get("root_path") == "/noauth"
        ):  # the server's own client: never from a socket, see the SDK's get_client
            await self.app({**scope, PASSED: True}, receive, send)
            return
        status, reason, inner = self.judge(scope)
        if inner is not None:
            await self.app({**inner, PASSED: True}, receive, send)
            return
        _log.warning("refused %s %s: %s", scope.get("method", scope["type"]), _shown(scope["path"]), reason)
        await _refuse(status, reason, scope, receive, send)

    def judge(self, scope: Scope) -> tuple[int, str, Scope | None]:
        """Status and reason of a refusal, or the scope to go on with."""
        port = (scope.get("server") or ("", None))[1]
        names = {f"{name}:{port}" for name in LOOPBACK} | (set(LOOPBACK) if port == 80 else set())
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or hosts[0].lower() not in names:
            return 403, "the Host header does not name this server", None
        paged = self._from_page(scope["path"], origins)
        if paged is None and any(origin.lower() not in {f"http://{name}" for name in names} for origin in origins):
            return 403, "another site may not use this server", None
        if paged is None and not self._has_token(scope):
            return (
                401,
                "the token is missing or wrong: send it as `Authorization: Bearer TOKEN` or `x-api-key: TOKEN`",
                None,
            )
        inner = scope if paged is None else {**scope, "path": paged, "raw_path": quote(paged).encode()}
        if inner["path"].startswith(_CLOSED):
            return 404, "there is nothing here", None
        return 200, "", inner

    def _has_token(self, scope: Scope) -> bool:
        given = _values(scope, b"x-api-key")
        for value in _values(scope, b"authorization"):
            scheme, _, secret = value.partition(" ")
            given += [secret.strip()] if scheme.lower() == "bearer" else []
        return any(hmac.compare_digest(digest(secret), self.keys.token) for secret in given)

    def _from_page(self, path: str, origins: list[str]) -> str | None:
        """The path behind the hosted page's key; None when it is not that page with its key."""
        if not self.keys.page or origins != [STUDIO_PAGE] or not path.startswith(_KEY_PATH):
            return None
        secret, _, rest = path.removeprefix(_KEY_PATH).partition("/")
        return f"/{rest}" if hmac.compare_digest(digest(secret), self.keys.page) else None


def _values(scope: Scope, name: bytes) -> list[str]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.decode("latin-1").strip() for key, value in headers if key == name]


def _shown(path: str) -> str:
    """A path as it may stand in a log: without a key, on one line."""
    path = f"{_KEY_PATH}…" if unquote(path).startswith(_KEY_PATH) else path
    return repr(path[:200])


async def _refuse(status: int, reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
        return
    from starlette.responses import JSONResponse

    headers = {"WWW-Authenticate": 'Bearer realm="modelwright"'} if status == 401 else {}
    await JSONResponse({"detail": reason}, status, headers)(scope, receive, send)


def settings_of_http(hosted: bool) -> dict[str, Any]:
    """The server's `http` settings: our application, whose first layer is the guard, and nothing that nobody asked for."""
    return {
        "app": "modelwright:studio_app",
        "disable_mcp": True,
        "disable_a2a": True,
        "disable_webhooks": True,
        "cors": {
            "allow_origins": [STUDIO_PAGE] if hosted else [],
            "allow_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"] if hosted else [],
            "allow_headers": ["*"] if hosted else [],
            "expose_headers": ["x-pagination-total", "x-pagination-next", "content-location"],
        },
    }
