"""The report in a real browser, with the network cut."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.sharing import once
from tests.tools.report_cases import case, nasty
from tools.report.cards import run_card
from tools.report.page import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]
PATIENCE = 300_000.0
"""Milliseconds in which a browser starts and a page opens on a busy machine."""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET, timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = once(tmp_path_factory, "reports", _write_reports)
    return {path.stem: path for path in folder.glob("*.html")}


def _write_reports(folder: Path) -> None:
    cases = {
        "binary": case("binary"),
        "multiclass": case("multiclass", 4000, classes=30),
        "regression": case("regression", 5000),
        "forecast": case("regression", 1500, forecast=True),
        "hostile": nasty(case("binary")),
    }
    for name, facts in cases.items():
        write_report(folder / f"{name}.html", facts)


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("binary", "light"),
        ("binary", "dark"),
        ("multiclass", "light"),
        ("regression", "dark"),
        ("forecast", "light"),
        ("hostile", "light"),
    ],
)
def test_a_report_opens_cleanly(browser: Browser, reports: dict[str, Path], name: str, scheme: str) -> None:
    """No complaint, no request, headings and pictures visible, nothing wider than the window, wide or narrow."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light", viewport={"width": 1200, "height": 900}
    )
    context.set_default_timeout(PATIENCE)
    context.set_offline(True)
    page = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(reports[name].as_uri())
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", reports[name].as_uri()))] == []
    for heading in ("Data", "Candidates", "Baselines", "The model", "Review", "Use it", "Reproduce"):
        assert page.get_by_role("heading", name=heading, exact=True).is_visible()
    assert page.locator("svg.plot").count() >= (2 if name == "multiclass" else 4)
    assert page.locator("svg.tree").count() == page.locator("svg.graph").count() == 1
    assert page.locator("svg.spark").count() >= 3
    for width in (1200, 400):
        page.set_viewport_size({"width": width, "height": 900})
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_scheme(browser: Browser, reports: dict[str, Path], scheme: str) -> None:
    """Text and curves differ from the paper they lie on, in either scheme."""
    page = browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(reports["binary"].as_uri())
    paper = page.locator("#model").evaluate("one => getComputedStyle(one).backgroundColor")
    ink = page.locator("#model p.note").first.evaluate("one => getComputedStyle(one).color")
    label = page.locator("svg.plot text").first.evaluate("one => getComputedStyle(one).fill")
    dark = sum(int(part) for part in paper.removeprefix("rgb(").removesuffix(")").split(",")) < 380
    assert dark == (scheme == "dark")
    for colour in (ink, label):
        bright = sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) > 380
        assert bright == dark
    page.close()


def test_the_paper_edition_hides_the_contents(browser: Browser, reports: dict[str, Path]) -> None:
    """Printed, the page is only the report."""
    page = browser.new_page()
    page.goto(reports["binary"].as_uri())
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("#verdict").is_visible()
    page.close()


def test_a_card_inherits_the_notebook_s_colours(browser: Browser) -> None:
    """A dark notebook gets light text without a style sheet of ours."""
    page = browser.new_page()
    card = run_card(
        {"name": "brisk-otter", "status": "done", "metric": "roc_auc", "score": 0.88}, case("binary").candidates
    )
    page.set_content(f'<!doctype html><body style="background:#111;color:rgb(221, 221, 221)">{card}')
    assert page.locator("svg text").nth(3).evaluate("one => getComputedStyle(one).fill") == "rgb(221, 221, 221)"
    page.close()
