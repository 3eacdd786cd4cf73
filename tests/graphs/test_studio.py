"""`modelwright studio`, driven over HTTP as Studio and the SDK drive it, and the same runs from the command line."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from state.settings import Settings
from tests.conformance.executor import PATIENCE
from tests.support.command import modelwright
from tests.support.copies import effects, executed
from tests.support.studio import CONTEXT, Studio
from tests.support.tables import loans
from tools.drivers import drive_run

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("langgraph_api") is None, reason="the LangGraph server is not installed (extra studio)"
)

OPTIONS = "--target default --iterations 1 --candidates 2 --folds 2 --time-limit 600 --jobs 1 --json".split()
SMALL = {**CONTEXT, "data": "loans.csv"}
"""A path as a person types it: relative to where `modelwright studio` was started."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    loans().to_csv(folder / "loans.csv", index=False)
    with Studio(folder) as studio:
        yield studio
        assert "Blocking call" not in studio.log
        assert studio.token not in studio.log
        server = psutil.Process(studio.told["pid"])
        code, said = studio.stop()
        assert code == 0, said
        assert not server.is_running()
    assert sorted(path.name for path in folder.iterdir()) == ["home", "loans.csv"]


def ended(pid: int) -> bool:
    """Whether a process is gone, or gone soon."""
    give_up = time.monotonic() + PATIENCE
    while psutil.pid_exists(pid) and time.monotonic() < give_up:
        time.sleep(0.1)
    return not psutil.pid_exists(pid)


@pytest.fixture(scope="module")
def data(studio: Studio) -> Path:
    return studio.home.parent / "loans.csv"


async def shown(client: Any, run_id: str, **facts: str) -> Any:
    """The run's thread, once the server's look at the catalogue has made it say these facts."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        found = await client.threads.search(ids=[run_id], metadata=facts)
        if found:
            return found[0]
        await asyncio.sleep(0.1)
    raise AssertionError(await client.threads.search(ids=[run_id]))


async def refused(asking: Any) -> tuple[int, str]:
    """Status and reason of a request that must be refused."""
    with pytest.raises(httpx.HTTPStatusError) as error:
        await asking
    answer = error.value.response.json()
    return error.value.response.status_code, f"{answer['detail']} {answer.get('hint', '')}"


def runs(studio: Studio) -> set[str]:
    """Names of all runs of the store."""
    if not (studio.home / "catalogue.db").exists():
        return set()
    with sqlite3.connect(studio.home / "catalogue.db") as database:
        return {name for (name,) in database.execute("SELECT name FROM runs")}


def answered_on_record(studio: Studio, run_id: str) -> list[str]:
    """Ids of the questions whose answers the run's log holds."""
    with sqlite3.connect(studio.home / "runs" / run_id / "run.db") as database:
        rows = database.execute("SELECT data FROM events WHERE kind = 'given' ORDER BY seq").fetchall()
    return [json.loads(data)["id"] for (data,) in rows]


def events(studio: Studio, run_id: str) -> list[str]:
    with sqlite3.connect(studio.home / "runs" / run_id / "run.db") as database:
        return [kind for (kind,) in database.execute("SELECT kind FROM events ORDER BY seq")]


def test_forms_and_picture(studio: Studio) -> None:
    """Every setting and input is a described field of a form, choices are choices; xray shows roles, the branch's too."""

    async def look(client: Any, assistant: str) -> tuple[Any, Any]:
        return await client.assistants.get_schemas(assistant), await client.assistants.get_graph(assistant, xray=True)

    schemas, graph = studio.talk(look)
    settings, given = schemas["context_schema"]["properties"], schemas["input_schema"]["properties"]
    assert set(settings) == set(Settings.model_fields)
    assert set(given) == {"data", "intent", "target"}
    for name, field in {**settings, **given}.items():
        assert field["title"], name
        assert field["description"], name
    assert [name for name, field in settings.items() if "default" not in field] == []
    assert settings["refit"]["enum"] == ["all", "train"]
    assert settings["review"]["items"]["enum"] == ["plan", "release"]
    roles = {node["id"]: node.get("metadata", {}).get("role") for node in graph["nodes"]}
    assert roles["approve_plan"] == roles["approve_release"] == "approver"
    assert roles["candidate:engineer"] == "engineer"
    assert roles["candidate:runner"] == "runner"
    assert {edge["target"] for edge in graph["edges"] if edge["source"] == "strategist"} == {"researcher", "operations"}


def test_begun_in_a_terminal_answered_in_the_server_finished_in_a_terminal(studio: Studio, data: Path) -> None:
    """The run appears as a thread by itself, with its open question and the question's form; answered there it goes on to
    the next question, which a terminal answers; the server shows how it ended. Whatever is no answer is refused.
    """
    asked = modelwright("build", data, *OPTIONS, "--review", "plan,release", "--name", "terminal", home=studio.home)
    assert asked.code == 3, asked.err
    run, plan = asked.json()["run_id"], asked.json()["waiting"][0]
    keep = plan["plans"][0]["id"]
    answer = {"action": "approve", "keep": [keep]}

    async def answered(client: Any, assistant: str) -> tuple[Any, list[Any], list[Any]]:
        thread = await shown(client, run, status="waiting")
        assert thread["status"] == "interrupted"
        (question,) = next(iter(thread["interrupts"].values()))
        assert question["id"] == plan["id"]

        def resume(value: Any, **more: Any) -> Any:
            return client.runs.wait(run, assistant, command={"resume": value}, **more)

        not_so = [
            await refused(resume({"0" * 32: answer})),
            await refused(resume({plan["id"]: answer, "0" * 32: answer})),
            await refused(resume({plan["id"]: {"action": "maybe"}})),
            await refused(resume({plan["id"]: {"action": "approve", "keep": ["nothing-of-that-name"]}})),
            await refused(resume({plan["id"]: {"action": "reject"}})),
            await refused(client.runs.wait(run, assistant, input={}, context=SMALL)),
            await refused(resume({plan["id"]: answer}, multitask_strategy="rollback")),
        ]
        assert (await client.threads.get_state(run))["interrupts"][0]["id"] == plan["id"]
        parts = [
            (part.event, part.data)
            async for part in client.runs.stream(
                run, assistant, command={"resume": {plan["id"]: answer}}, stream_mode="updates", stream_subgraphs=True
            )
        ]
        late = [await refused(resume({plan["id"]: answer}))]
        state = await client.threads.get_state(run)
        return state, parts, [*not_so, *late]

    state, parts, not_so = studio.talk(answered)
    codes, reasons = zip(*not_so, strict=True)
    assert codes == (409, 409, 422, 422, 422, 409, 409, 409)
    assert f"no open question has the id '{'0' * 32}'" in reasons[0]
    assert plan["id"] in reasons[0]
    assert "nothing-of-that-name" in reasons[3]
    assert "needs a reason" in reasons[4]
    assert "holds a run already" in reasons[5]
    assert f"question '{plan['id']}' was answered already" in reasons[7]
    assert [event for event, _ in parts if event.startswith("updates|candidate:")]
    assert "strategist" in {name for event, update in parts if event == "updates" for name in update}
    release = state["interrupts"][0]
    assert release["value"]["gate"] == "release"
    assert release["response_schema"]["properties"]["action"]["enum"] == ["approve", "reject"]
    assert studio.children() == []
    assert answered_on_record(studio, run) == [plan["id"]]

    done = modelwright("approve", "terminal", "--json", home=studio.home)
    assert done.code == 0, done.err

    async def ended(client: Any, assistant: str) -> tuple[Any, Any, Any]:
        thread = await shown(client, run, status="done")
        return thread, await client.threads.get_state(run), await client.threads.get_history(run, limit=50)

    thread, state, history = studio.talk(ended)
    assert thread["status"] == "idle"
    assert thread["interrupts"] == {}
    assert state["values"]["release"]["folder"] == done.json()["folder"]
    assert [plan["id"] for plan in state["values"]["plans"]] == [state["values"]["best"]] == [keep]
    steps = [one["next"] for one in reversed(history)]
    assert steps[1:5] == [["analyst"], ["examiner"], ["researcher"], ["approve_plan"]]
    assert steps[-2:] == [["publisher"], []]


@pytest.mark.campaign
def test_begun_in_the_server_answered_and_forked_in_a_terminal(studio: Studio) -> None:
    """A run of the form is in `ls`, waits with nothing left running, is finished by `approve` and forked by `fork`; the
    fork is a thread of its own. A path in the form is relative to where the command was started.
    """

    async def begun(client: Any, assistant: str) -> str:
        thread = (await client.threads.create())["thread_id"]
        context = {**SMALL, "review": ["plan"], "name": "server"}
        await client.runs.wait(thread, assistant, input={}, context=context)
        assert studio.children() == []
        return str(thread)

    run = studio.talk(begun)
    assert modelwright("show", "server", "--json", home=studio.home).json()["status"] == "waiting"
    done = modelwright("approve", run[:8], "--json", home=studio.home)
    assert done.code == 0, done.err
    assert Path(done.json()["folder"]).is_dir()
    change = ["--at", "publisher", "--set", "refit=train", "--name", "forked", "--json"]
    fork = modelwright("fork", "server", *change, home=studio.home)
    assert fork.code == 0, fork.err

    async def both(client: Any, assistant: str) -> tuple[Any, Any]:
        await shown(client, run, status="done")
        thread = await shown(client, fork.json()["run_id"], name="forked", status="done", parent=run)
        return thread, await client.threads.get_state(thread["thread_id"])

    thread, state = studio.talk(both)
    assert state["values"]["release"]["refit"] == "train"
    gone = modelwright("rm", "forked", "--yes", home=studio.home)
    assert gone.code == 0, gone.err

    async def vanished(client: Any, assistant: str) -> bool:
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            if not await client.threads.search(ids=[thread["thread_id"]]):
                return True
            await asyncio.sleep(0.1)
        return False

    assert studio.talk(vanished)


@pytest.mark.campaign
def test_forked_in_the_server(studio: Studio, data: Path) -> None:
    """Going back to an older checkpoint there goes another way from it: what was tried before counts no more, what was
    trained is not trained again. A copied thread is a run of its own.
    """
    first = modelwright("build", data, *OPTIONS, "--name", "origin", home=studio.home)
    assert first.code == 0, first.err
    run = first.json()["run_id"]

    async def forked(client: Any, assistant: str) -> tuple[str, Any, Any, Any]:
        await shown(client, run, status="done")
        copy = (await client.threads.copy(run))["thread_id"]
        history = await client.threads.get_history(copy, limit=100)
        before = [one for one in history if one["next"] == ["approve_plan"]][-1]
        kept = before["values"]["plans"][-1]
        changed = await client.threads.update_state(copy, {"plans": [kept]}, checkpoint=before["checkpoint"])
        await client.runs.wait(copy, assistant, checkpoint=changed["checkpoint"])
        return (
            copy,
            before["values"]["plans"],
            await client.threads.get_state(copy),
            await client.threads.get_state(run),
        )

    copy, plans, state, untouched = studio.talk(forked)
    *dropped, kept = [plan["id"] for plan in plans]
    assert dropped
    assert untouched["values"]["best"] == first.json()["best"]
    with sqlite3.connect(studio.home / "runs" / copy / "run.db") as database:
        records = dict(database.execute("SELECT id, record FROM candidates ORDER BY version").fetchall())
    gone = {name for name, record in records.items() if "was taken back" in record}
    assert set(dropped) <= gone
    assert kept not in gone
    assert state["values"]["best"] not in gone
    trained = {key for _, key, _ in effects(studio.home, run, "fold")}
    assert not trained & {key for _, key, _ in executed(studio.home, run, copy, "fold")}
    assert modelwright("show", copy, "--json", home=studio.home).json()["status"] == "done"
    assert modelwright("show", "origin", "--json", home=studio.home).json()["status"] == "done"


def test_one_driver_holds_for_both(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process drives a run the server neither goes on with it nor writes to it, and says who does."""
    monkeypatch.setenv("MODELWRIGHT_HOME", str(studio.home))

    async def begun(client: Any, assistant: str) -> tuple[str, str]:
        thread = (await client.threads.create())["thread_id"]
        await client.runs.wait(thread, assistant, input={}, context={**SMALL, "review": ["plan"], "name": "held"})
        return str(thread), (await client.threads.get_state(thread))["interrupts"][0]["id"]

    run, question = studio.talk(begun)

    async def tried(client: Any, assistant: str) -> list[tuple[int, str]]:
        answer = {"resume": {question: {"action": "approve"}}}
        return [
            await refused(client.runs.wait(run, assistant, command=answer)),
            await refused(client.runs.create(run, assistant, input=None)),
            await refused(client.threads.update_state(run, {"intent": "something else"})),
            await refused(client.threads.delete(run)),
        ]

    with drive_run(run):
        before = events(studio, run)
        for code, reason in studio.talk(tried):
            assert code == 409
            assert "is driven by process" in reason
        assert events(studio, run) == before

    async def later(client: Any, assistant: str) -> Any:
        await client.threads.create(thread_id=run, graph_id="modelwright", if_exists="do_nothing")
        return await client.threads.get_state(run)

    assert studio.talk(later)["interrupts"][0]["id"] == question


def test_a_refused_input_is_an_error_of_the_run(studio: Studio) -> None:
    """The thread says what is wrong with the data, nothing stays behind, and the corrected form runs on the same thread."""

    async def ask(client: Any, assistant: str) -> tuple[Any, Any, Any]:
        thread = (await client.threads.create())["thread_id"]
        context = {**SMALL, "target": "defualt", "review": ["plan"]}
        told = await client.runs.wait(thread, assistant, input={}, context=context, raise_error=False)
        state = await client.threads.get_state(thread)
        await client.runs.wait(thread, assistant, input={}, context={**context, "target": "default"})
        return told, state, await client.threads.get_state(thread)

    told, state, corrected = studio.talk(ask)
    assert told["__error__"]["error"] == "InputError"
    assert "there is no column 'defualt'" in state["tasks"][0]["error"]
    assert corrected["interrupts"][0]["value"]["gate"] == "plan"
    assert studio.children() == []


ROUTES = [
    ("POST", "/threads"),
    ("POST", "/threads/search"),
    ("POST", "/runs"),
    ("POST", "/runs/stream"),
    ("POST", "/runs/wait"),
    ("POST", "/runs/batch"),
    ("POST", "/runs/crons"),
    ("POST", "/assistants/search"),
    ("POST", "/assistants"),
    ("POST", "/threads/{thread}/runs"),
    ("POST", "/threads/{thread}/runs/stream"),
    ("POST", "/threads/{thread}/runs/wait"),
    ("POST", "/threads/{thread}/commands"),
    ("POST", "/threads/{thread}/state"),
    ("POST", "/store/items/search"),
    ("GET", "/threads/{thread}/stream"),
    ("GET", "/threads/{thread}/stream/events"),
    ("GET", "/"),
    ("GET", "/ok"),
    ("GET", "/info"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("POST", "/mcp"),
    ("POST", "/a2a/{thread}"),
    ("GET", "/ui/modelwright"),
    ("POST", "/deploy"),
    ("POST", "/internal/truncate"),
    ("GET", "/nothing/here"),
]


def test_no_web_page_can_use_the_server(studio: Studio, data: Path) -> None:
    """Every kind of request a page could send, at every route: refused, no run begun, nothing a page may read.

    From another origin, by another Host, without the token, as `text/plain` without a preflight, and the preflight itself.
    """
    thread = studio.talk(lambda client, _: client.threads.create())["thread_id"]
    context = {**CONTEXT, "data": str(data), "name": "intruder"}
    body = {"assistant_id": "modelwright", "input": {}, "context": context}
    evil, token = "https://evil.example", studio.token
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    upgrade |= {"Sec_WebSocket_Version": "13", "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    for method, route in ROUTES:
        path = route.format(thread=thread)
        sent = body if method == "POST" else None
        attempts: list[tuple[str, dict[str, str | None]]] = [
            (method, {}),
            (method, {"x_api_key": "wrong"}),
            (method, {"x_auth_scheme": "langsmith"}),
            (method, {"Cookie": f"token={token}"}),
            (method, {"Content_Type": "text/plain", "Origin": evil}),
            (method, {"x_api_key": token, "Origin": evil}),
            (method, {"x_api_key": token, "Origin": "null"}),
            (method, {"x_api_key": token, "Host": f"evil.example:{studio.port}"}),
            (method, {"x_api_key": token, "Host": None}),
            ("OPTIONS", {"Origin": evil, "Access_Control_Request_Method": method}),
            (
                "OPTIONS",
                {"Origin": evil, "Access_Control_Request_Method": method, "Host": f"evil.example:{studio.port}"},
            ),
        ]
        if method == "GET":
            attempts += [("GET", {**upgrade, "Origin": evil}), ("GET", dict(upgrade))]
        for verb, headers in attempts:
            status, answered, text = studio.ask(verb, path, sent if verb == method else None, **headers)
            assert status in {400, 401, 403}, (verb, path, headers, status, text)
            assert not [name for name in answered if name.startswith("access-control-allow")], (path, headers)
    assert studio.ask("GET", f"/ok?token={token}&api_key={token}")[0] == 401
    assert studio.ask("GET", "/ok", x_api_key=token)[0] == 200

    async def begun(client: Any, assistant: str) -> tuple[Any, Any]:
        return await client.runs.list(thread), await client.threads.search(metadata={"name": "intruder"})

    assert studio.talk(begun) == ([], [])
    assert "intruder" not in runs(studio)


def test_the_hosted_page_is_let_in_when_asked_and_then_alone(tmp_path: Path) -> None:
    """With --hosted the page gets an address with a key; its preflights and requests are answered for its origin only. A
    token of one's own is used and not shown.
    """
    studio = Studio(tmp_path, "--hosted", "--no-browser", MODELWRIGHT_STUDIO_TOKEN="a-token-chosen-by-a-person")
    try:
        page = "https://smith.langchain.com"
        start, _, address = studio.told["studio"].partition("?baseUrl=")
        assert start == f"{page}/studio/"
        assert address.startswith(f"{studio.url}/key/")
        assert studio.told["token"] is None
        path = f"{address.removeprefix(studio.url)}/assistants/search"
        asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "content-type"}
        status, headers, _ = studio.ask("OPTIONS", path, Origin=page, **asks)
        assert (status, headers["access-control-allow-origin"]) == (200, page)
        status, headers, text = studio.ask("POST", path, {}, Origin=page)
        assert (status, headers["access-control-allow-origin"]) == (200, page)
        assert "modelwright" in text
        assert studio.ask("POST", path, {})[0] == 401
        assert studio.ask("POST", path, {}, Origin="https://evil.example")[0] == 403
        assert studio.ask("POST", "/assistants/search", {}, Origin=page)[0] == 403
        assert studio.ask("POST", "/assistants/search", {}, x_api_key="a-token-chosen-by-a-person")[0] == 200
        assert address.rpartition("/")[2] not in studio.log
    finally:
        studio.process.kill()
        studio.process.communicate()
    assert ended(studio.told["pid"])  # killed, the command takes its server along


@pytest.mark.campaign
@pytest.mark.parametrize("how", ["asked", "killed"])
def test_a_server_that_stops_pauses_its_runs(how: str, tmp_path: Path) -> None:
    """Ctrl-C lets the running trainings finish; a killed server leaves no process. Either way a terminal goes on, and
    nothing that had finished is trained again.
    """
    loans().to_csv(tmp_path / "loans.csv", index=False)
    with Studio(tmp_path) as studio:

        async def begin(client: Any, assistant: str) -> str:
            thread = (await client.threads.create())["thread_id"]
            await client.runs.create(thread, assistant, input={}, context={**SMALL, "candidates": 4, "name": "stopped"})
            return str(thread)

        run = studio.talk(begin)
        give_up = time.monotonic() + 5 * PATIENCE
        while not finished(studio.home, run) and time.monotonic() < give_up:
            time.sleep(0.05)
        before = finished(studio.home, run)
        children = [child.pid for child in studio.children()]
        assert before, studio.log
        assert children
        if how == "asked":
            code, said = studio.stop()
            assert code == 0, said
            assert "running programs are let finish" in said
            assert modelwright("show", "stopped", "--json", home=studio.home).json()["status"] == "paused"
        else:
            psutil.Process(studio.told["pid"]).kill()
            studio.process.wait(PATIENCE)
            code, said = studio.stop()
            assert code == 1
            assert "ended by itself" in said
        assert all(ended(child) for child in children)
    done = modelwright("resume", "stopped", "--json", home=studio.home)
    assert done.code == 0, done.err
    assert before <= finished(studio.home, run)


def finished(home: Path, run: str) -> set[tuple[str, str]]:
    """Trainings of a run that have finished: key and when they began."""
    if not (home / "catalogue.db").exists():
        return set()
    with sqlite3.connect(home / "catalogue.db") as database:
        rows = database.execute(
            "SELECT key, started FROM journal WHERE run_id = ? AND state = 'done' AND kind = 'fold'", [run]
        )
        return set(rows.fetchall())
