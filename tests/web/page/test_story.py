"""The whole story in a browser, against a service that runs as users start it.

    TANS_PAGE_IMAGES=docs/images python -m pytest -m slow tests/web/page/test_story.py -k pictures

takes the pictures of docs/page.md anew, on the zoo that ships.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load

from tans.meta.calibrator import Calibrator
from tans.meta.evidence import COLUMNS
from tans.zoo.zoo import Zoo

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
IMAGES = os.environ.get("TANS_PAGE_IMAGES")
SECONDS = 120
"""Until something is given up; others may keep the machine busy."""
START = "if __name__ == '__main__': from tans.cli import main; main()"
TOKEN = "a-secret-of-many-letters"
COLOURS = {"red": (200, 60, 60), "green": (60, 200, 60), "blue": (60, 60, 200)}
FOCUSED = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  const shown = [style, e.nextElementSibling && getComputedStyle(e.nextElementSibling)];
  const name = e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText || '';
  return {tag: e.tagName, id: e.id, name: name.trim().split('\\n')[0], inside: !!e.closest('.tans'),
          seen: shown.some(s => s && (s.outlineStyle !== 'none' || s.boxShadow !== 'none'))};
}"""
TOO_WIDE = """() => [...document.querySelectorAll('.tans *')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.wide'))
  .map(e => e.tagName + '.' + e.getAttribute('class'))"""
NAMELESS = """() => [...document.querySelectorAll('input, button, svg, img')]
  .filter(e => e.closest('.tans'))
  .filter(e => e.checkVisibility())
  .filter(e => !(e.getAttribute('aria-label') || e.labels?.length || e.innerText || e.alt
                 || e.closest('[aria-hidden=true]') || e.closest('.label-wrap')))
  .map(e => e.outerHTML.slice(0, 200))"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600 if IMAGES else 1200),
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, as Debian packages it"),
]


@contextmanager
def served(folder: Path, zoo: Path | None, **environment: str) -> Iterator[str]:
    """A service of its own process; yields its address."""
    given = [] if zoo is None else ["--zoo", str(zoo)]
    process = subprocess.Popen(
        [sys.executable, "-c", START, "serve", "--port", "0", "--folder", str(folder), *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while not (found := re.search(r"http://\S+", "".join(lines[-1:]))):
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        yield found[0]
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def address(small_zoo: Zoo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a service on a zoo that judges a look by its probes alone."""
    folder = tmp_path_factory.mktemp("service")
    shutil.copytree(small_zoo.path, folder / "zoo")
    weights = tuple(1.0 if column == "probe" else 0.0 for column in COLUMNS)
    judge = Calibrator((0.0,) * len(COLUMNS), weights, bias=0.0, strength=1.0, margin=0.5)
    judge.save(Zoo.open(folder / "zoo").retrieval)
    with served(folder / "kept", folder / "zoo", TANS_CACHE=str(folder / "cache")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Visit:
    """A tab, and what went wrong in it."""

    page: Any
    address: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(1000 * SECONDS)
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def open(self) -> None:
        self.page.goto(self.address)
        self.page.get_by_role("heading", level=1).wait_for()

    def give(self, packed: bytes, name: str = "colours.zip") -> None:
        file = {"name": name, "mimeType": "application/zip", "buffer": packed}
        self.page.get_by_label("A zip of your images").set_input_files(file)

    def ranked(self) -> None:
        self.page.locator(".matches button").first.wait_for()

    def standing(self) -> str:
        return self.page.locator(".block.standing").inner_text()

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def download(self, name: str) -> bytes:
        with self.page.expect_download() as found:
            self.page.get_by_role("link", name=name).click()
        return Path(found.value.path()).read_bytes()


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    visit = Visit(context.new_page(), address)
    visit.open()
    yield visit
    context.close()
    assert not visit.wrong


def picture(colour: tuple[int, int, int], seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(-50, 50, (40, 40, 3))
    held = io.BytesIO()
    Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8)).save(held, "PNG")
    return held.getvalue()


def colours(count: int = 16) -> bytes:
    """A zip of three classes; one image of it is none."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as packed:
        for at, (name, colour) in enumerate(COLOURS.items()):
            for step in range(count):
                packed.writestr(f"{name}/{step}.png", picture(colour, 100 * at + step))
        packed.writestr("red/broken.png", b"no picture")
    return held.getvalue()


def test_the_whole_story_is_walked(visit: Visit) -> None:
    page = visit.page
    visit.give(colours())
    page.get_by_text("48 images of 3 classes").wait_for()
    assert "damaged (red/broken.png)" in page.locator(".beware").first.inner_text()
    assert page.locator(".strip img").count() == 18
    assert page.locator(".strip img").first.evaluate("e => e.complete || e.decode()") is not False

    visit.ranked()
    everything = visit.standing()
    assert "similarity alone" in everything
    slider = page.get_by_label("Multiply-adds").first
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "told => document.querySelector('.block.standing').innerText !== told", arg=everything
    )
    assert slider.get_attribute("aria-valuetext").startswith("up to ")
    slider.press("End")
    page.wait_for_function(
        "told => document.querySelector('.block.standing').innerText === told", arg=everything
    )

    second = page.locator(".matches button").nth(1)
    second.click()
    page.wait_for_function(
        "() => document.querySelectorAll('.matches button')[1].ariaPressed === 'true'"
    )
    assert page.locator(".detail .tiles img").count() > 12
    assert "Commercial use" in page.locator(".detail").inner_text()
    page.get_by_role("img", name=re.compile("Pareto front")).wait_for()
    page.get_by_role("img", name=re.compile("lies nearest to")).wait_for()
    page.get_by_role("button", name=re.compile("Pareto front, as a table")).click()
    page.get_by_role("table").filter(has_text="expected accuracy").wait_for()

    visit.button("Look closer, on my images").click()
    page.get_by_text("looks at your images speak for").wait_for()
    assert re.search(r"\(\d+ to \d+\)", page.locator(".matches").inner_text())

    visit.button("Fine-tune this network").click()
    page.get_by_text(re.compile("Waiting|Preparing|Training")).wait_for()
    visit.button("Cancel").click()
    page.get_by_text("Cancelled.").wait_for()

    page.get_by_text("A quick try").click()
    visit.button("Fine-tune this network").click()
    page.get_by_role("heading", name="What it reached").wait_for()
    page.get_by_role("img", name=re.compile("After epoch 2")).wait_for()
    weights = load(visit.download("Network (safetensors)"))
    assert weights
    assert b"tans" in visit.download("Report (HTML)")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    onnxruntime.InferenceSession(visit.download("Network (ONNX)"))

    image = {"name": "a.png", "mimeType": "image/png", "buffer": picture(COLOURS["red"], 7)}
    page.get_by_label("Try it on an image").set_input_files(image)
    page.locator(".tried .lead").wait_for()
    assert page.locator(".tried li").count() == 3
    assert not page.evaluate(NAMELESS)

    page.reload()  # it goes on where it was
    page.get_by_role("heading", name="What it reached").wait_for()
    visit.button("Delete my images now").click()
    page.get_by_text("Your images are deleted.").wait_for()
    assert not page.get_by_role("heading", name="3 · Networks that fit").is_visible()


def test_what_cannot_be_used_is_answered_in_a_sentence(visit: Visit) -> None:
    page = visit.page
    visit.give(b"no zip at all")
    alert = page.get_by_role("alert").filter(has_text="zip")
    alert.wait_for()
    assert "cannot be read as a zip" in alert.inner_text()
    # that an upload was refused, browsers note themselves
    visit.wrong[:] = [text for text in visit.wrong if "422" not in text]


def test_limits_that_nothing_fits_say_what_would(visit: Visit) -> None:
    page = visit.page
    visit.give(colours())
    visit.ranked()
    page.get_by_label("Latency of an image").focus()
    page.keyboard.press("Home")
    page.get_by_label("Parameters").first.focus()
    page.keyboard.press("Home")
    page.wait_for_function(
        "() => document.querySelector('.block.standing').innerText.startsWith('0 of')"
    )
    page.get_by_role("alert").filter(has_text="the least that any needs").wait_for()


def test_names_in_a_dataset_run_nothing(visit: Visit) -> None:
    held = io.BytesIO()
    names = ["<img src=x onerror=window.hit=1>", "${window.hit=1}", "{{window.hit}}`"]
    with zipfile.ZipFile(held, "w") as packed:
        for at, name in enumerate(names):
            for step in range(10):
                packed.writestr(f"{name}/{step}.png", picture((80 * at, 90, 90), 50 * at + step))
    visit.give(held.getvalue(), "${window.hit=1}.zip")
    visit.ranked()
    assert visit.page.evaluate("() => window.hit") is None
    assert "${window.hit=1}" in visit.page.locator(".strips").inner_text()


def test_the_page_is_walked_with_a_keyboard_alone(visit: Visit) -> None:
    page = visit.page
    visit.give(colours())
    visit.ranked()
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
        if reached[-1]["name"] == "Fine-tune this network":
            break
    ids = [each["id"] for each in reached]
    for wanted in ("tans-zip", "tans-max_params", "tans-max_flops", "tans-max_latency_ms"):
        assert wanted in ids
    names = " ".join(each["name"] for each in reached)
    for wanted in ("Greek letters", "Delete my images now", "Look closer", "Fine-tune this"):
        assert wanted in names
    assert all(each["seen"] for each in reached if each["inside"])
    levels = page.evaluate(
        "() => [...document.querySelectorAll('h1, h2, h3, h4')].filter(e => e.checkVisibility())"
        ".map(e => Number(e.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_phone_shows_all_without_scrolling_sideways(visit: Visit) -> None:
    page = visit.page
    page.set_viewport_size({"width": 390, "height": 844})
    visit.give(colours())
    visit.ranked()
    page.get_by_role("button", name=re.compile("Pareto front, as a table")).click()
    page.get_by_role("table").filter(has_text="expected accuracy").wait_for()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert not page.evaluate(TOO_WIDE)


def test_a_service_with_a_token_asks_for_it_once(
    browser: Any, small_zoo: Zoo, tmp_path: Path
) -> None:
    """Its zoo has no calibrator, so that no look is offered either."""
    environment = {"TANS_CACHE": str(tmp_path / "cache"), "TANS_TOKEN": TOKEN}
    with served(tmp_path / "kept", small_zoo.path, **environment) as url:
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(1000 * SECONDS)
        page.goto(url)
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Enter").click()
        page.get_by_role("alert").filter(has_text="not the token").wait_for()
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Enter").click()
        page.get_by_role("heading", name="Find the pretrained").wait_for()
        page.get_by_label("A zip of your images").set_input_files(
            {"name": "colours.zip", "mimeType": "application/zip", "buffer": colours()}
        )
        page.locator(".matches button").first.wait_for()
        page.get_by_text("has not learnt to judge a closer look").wait_for()
        assert not page.get_by_role("button", name="Look closer").is_visible()
        context.close()


@pytest.mark.skipif(IMAGES is None, reason="takes pictures where TANS_PAGE_IMAGES names a folder")
def test_pictures_for_the_docs_are_taken(browser: Any, tmp_path: Path) -> None:
    with served(tmp_path / "kept", None) as url:
        size = {"width": 1280, "height": 900}
        context = browser.new_context(viewport=size, reduced_motion="reduce")
        visit = Visit(context.new_page(), url)
        page = visit.page
        page.set_default_timeout(1_500_000)
        visit.open()
        visit.button("Greek letters").click()
        visit.ranked()
        page.get_by_role("img", name=re.compile("lies nearest to")).wait_for()
        taken(page, "page-images", 0, 1)
        visit.button("Look closer, on my images").click()
        page.get_by_text("looks at your images speak for").wait_for()
        taken(page, "page-networks", 2)
        page.get_by_text("A quick try").click()
        visit.button("Fine-tune this network").click()
        page.get_by_role("heading", name="What it reached").wait_for()
        phi = min(Path("examples/greek/test/phi").iterdir())
        page.get_by_label("Try it on an image").set_input_files(phi)
        page.locator(".tried .lead").wait_for()
        taken(page, "page-finetune", 3)
        page.emulate_media(color_scheme="dark")
        page.reload()
        page.get_by_role("heading", name="What it reached").wait_for()
        taken(page, "page-dark", 2)
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="light")
        page.reload()
        page.get_by_role("heading", name="What it reached").wait_for()
        taken(page, "page-phone", 2)
        context.close()
    assert not visit.wrong


def taken(page: Any, name: str, *steps: int) -> None:
    """Keep a picture of some steps of the page, in few colours."""
    page.evaluate("() => document.activeElement.blur()")
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    boxes = [page.locator(".step").nth(step).bounding_box() for step in steps]
    top = 0 if 0 in steps else min(box["y"] for box in boxes)
    bottom = max(box["y"] + box["height"] for box in boxes) + 24
    width = page.viewport_size["width"]
    top += page.evaluate("() => scrollY") if top else 0
    bottom += page.evaluate("() => scrollY")
    clip = {"x": 0, "y": top, "width": width, "height": bottom - top}
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip)))
    few = shot.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(Path(IMAGES or ".") / f"{name}.png", optimize=True)
