"""Our application inside the LangGraph server: the guard around all of its routes, our errors as answers, our threads.

Named in the server's settings (`http.app`), so that the server cannot come up without it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from langgraph_sdk import get_client
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from graphs.studioguard import Guard, keys
from graphs.studiothreads import Threads
from state.errors import InputError, ModelwrightError, NotFound, RunHeld, SafetyRefused, UsageError

FOLDER_VARIABLE = "MODELWRIGHT_STUDIO_FOLDER"
"""Folder that paths a person types are relative to. The server itself begins in a private one, because it loads pickles
that it finds where it begins."""

_log = logging.getLogger("modelwright.studio")

_STATUS: tuple[tuple[type[ModelwrightError], int], ...] = (
    (RunHeld, 409),
    (UsageError, 409),
    (InputError, 422),
    (NotFound, 404),
    (SafetyRefused, 403),
)


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    private, wanted = await asyncio.to_thread(os.getcwd), os.environ.pop(FOLDER_VARIABLE, "")
    if wanted:
        await asyncio.to_thread(os.chdir, wanted)
    keeping = asyncio.create_task(Threads(get_client(api_key=None)).keep())
    keeping.add_done_callback(_say_why)
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await asyncio.to_thread(os.chdir, private)


def _say_why(keeping: asyncio.Task[None]) -> None:
    if not keeping.cancelled() and (error := keeping.exception()) is not None:
        _log.error("runs no longer appear as threads by themselves", exc_info=error)


async def _told(request: Request, error: Exception) -> Response:
    """An error of ours as an answer: what happened, and what to do next."""
    assert isinstance(error, ModelwrightError)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return JSONResponse({"detail": error.message, "hint": error.hint, "error": type(error).__name__}, status)


studio_app = Starlette(
    middleware=[Middleware(Guard, keys=keys())],
    exception_handlers={ModelwrightError: _told},
    lifespan=_lifespan,
)
