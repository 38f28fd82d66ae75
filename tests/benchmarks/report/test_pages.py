"""The pages as a browser shows them: no complaint in its console, no request to anywhere, every plot drawn, and a
mistake's sound plays.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import CHROMIUM, Page, chromium
from fixtures import BENCH

from hearlite.benchmarks.report.html import write_report
from hearlite.benchmarks.schema.io import read_results
from hearlite.benchmarks.studies.error_gallery import find_mistakes, write_page
from hearlite.benchmarks.studies.inputs import Models, embedded_by
from hearlite.data.dataset import load_dataset
from hearlite.embedders.fake import FakeTeacher
from hearlite.spec import AUDIO

DRAWN = """[...document.querySelectorAll('figure')].map(figure => {
  const svg = figure.querySelector('svg'), size = svg && svg.getBoundingClientRect();
  return svg !== null && size.width > 50 && size.height > 50 && svg.querySelectorAll('path').length > 3 && svg.querySelectorAll('text').length > 1;
})"""
PLAYED = """(async () => {
  const sound = document.querySelector('audio');
  sound.muted = true;
  await sound.play();
  await new Promise(done => { sound.onended = done; sound.playbackRate = 8; });
  return {seconds: sound.duration, ended: sound.ended, error: sound.error && sound.error.message};
})()"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    write_report(BENCH, out)
    return out.as_uri()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with chromium(tmp_path / "profile", "--autoplay-policy=no-user-gesture-required") as opened:
        yield opened


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False)])
def test_the_report_shows_all_of_itself_and_asks_nobody(report: str, page: Page, width: int, dark: bool) -> None:
    page.resize(width, 900, phone=width < 600, dark=dark)
    page.open(report)
    assert page.requests == [report] and page.complaints == []
    drawn = page.evaluate(DRAWN)
    results = read_results(BENCH)
    quantized = sum(model.quantization is not None for model in results.models)
    # Two of all tasks, ROC and reliability of each, one of cost, and of every quantized file its layers.
    assert len(drawn) >= 2 + 2 * len(results.tasks) + 1 + quantized and all(drawn)
    assert page.evaluate("document.documentElement.scrollWidth") <= width  # wide tables scroll within themselves
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
        "rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)"
    )


def test_the_first_screen_answers_the_three_questions(report: str, page: Page) -> None:
    page.resize(1280, 800)
    page.open(report)
    cards = page.evaluate(
        "[...document.querySelectorAll('.card')].map(card => [card.innerText, card.getBoundingClientRect().bottom])"
    )
    for (text, bottom), question in zip(
        cards,
        ("How much of the teacher is kept?", "How much smaller and faster?", "May it replace the teacher"),
        strict=True,
    ):
        assert text.startswith(question) and bottom < 800


def test_prose_among_figures_is_never_cut(page: Page, tmp_path: Path) -> None:
    """What explains a row stays within the window, however wide its table is."""
    out = tmp_path / "cost.html"
    write_report(BENCH, out)
    for width in (1280, 390):
        page.resize(width, 900, phone=width < 600)
        page.open(out.as_uri())
        ends = page.evaluate(
            "[...document.querySelectorAll('tr.why p')].map(text => text.getBoundingClientRect().right)"
        )
        assert len(ends) > 5 and max(ends) <= width


def test_the_report_prints(report: str, page: Page) -> None:
    page.open(report)
    assert base64.b64decode(page.call("Page.printToPDF", printBackground=True)["data"]).startswith(b"%PDF-")


def test_a_violated_policy_would_be_seen(page: Page, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        """<meta http-equiv="Content-Security-Policy" content="default-src 'none'"><script>document.title = 1</script>"""
    )
    page.open(bad.as_uri())
    page.evaluate("console.error('seen')")
    assert any("Content Security Policy" in error for error in page.complaints) and any(
        "seen" in error for error in page.complaints
    )


def test_the_sound_of_a_mistake_plays(labelled: Path, page: Page, tmp_path: Path) -> None:
    dataset = load_dataset(labelled, label_columns=("narrow",))
    found = find_mistakes(
        embedded_by(dataset, Models({"teacher": FakeTeacher(16), "student": FakeTeacher(2)}, ())), ("narrow",), seed=0
    )
    out = tmp_path / "mistakes.html"
    write_page(found, out, dataset="synthetic", teacher="fake", student="fake")
    page.open(out.as_uri())
    assert page.evaluate("[...document.images].map(image => image.complete && image.naturalWidth > 50)") == [
        True
    ] * len(found[0].shown)
    assert page.evaluate(PLAYED) == {"seconds": pytest.approx(AUDIO.clip_s), "ended": True, "error": None}
    assert page.complaints == []
    assert [url for url in page.requests if not url.startswith(("data:", out.as_uri()))] == []
