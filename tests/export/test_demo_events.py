"""The demo's page of a file with events, in headless Chromium: a minute has the same events as in Python, from a file and
from the microphone, and they can be heard and kept.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from chromium import LITERTJS, NEEDS_DEMO, Page, chromium
from page_minute import LABELS, minute, python_events, write_minute

from hearlite.bundle import Manifest, read_manifest
from hearlite.events.detector import Event
from hearlite.events.formats import as_audacity
from hearlite.export.demo.server import make_files, open_server
from hearlite.export.demo.static import write_page
from hearlite.spec import AUDIO

pytestmark = NEEDS_DEMO
# WebAssembly's float kernels add in another order than x86's. The head of the minute is steep.
SCORE_TOLERANCE = 2e-3
_DONE = "document.body.dataset.state === 'done' && document.getElementById('status').textContent.startsWith(%s)"


@pytest.fixture(scope="module")
def manifest(eventful_page: Path) -> Manifest:
    return read_manifest(eventful_page)


@pytest.fixture(scope="module")
def expected(eventful_page: Path, manifest: Manifest) -> list[Event]:
    assert manifest.steps is not None and manifest.events is not None
    return python_events(eventful_page, manifest.steps, manifest.events, minute())


@pytest.fixture(scope="module")
def page(eventful_page: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("chromium")
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={write_minute(folder / 'microphone.wav')}",
    )
    with open_server(port=0) as server, chromium(folder / "profile", *fake) as opened:
        server.files = make_files(eventful_page, hop_s=0.75, litert=LITERTJS, registry=None, log=print)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened.open(f"http://localhost:{server.server_address[1]}/")
        opened.wait("document.body.dataset.state !== 'loading'", timeout_s=120)
        assert opened.evaluate("document.body.dataset.state") == "ready"
        yield opened
        server.shutdown()


@pytest.fixture(scope="module")
def heard(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page with the minute on it."""
    feed(page, write_minute(tmp_path_factory.mktemp("sound") / "minute.wav"))
    return page


def feed(page: Page, path: Path) -> list[dict[str, Any]]:
    page.choose_file("#picker", path)
    page.wait(_DONE % json.dumps(path.name), timeout_s=120)
    return events(page)


def events(page: Page) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate("import('/main.js').then((m) => m.take.events)")
    return found


def assert_same(found: list[dict[str, Any]], expected: list[Event]) -> None:
    assert [(event["label"], event["start"], event["end"], event["peak"]) for event in found] == [
        (event.label, event.start_s, event.end_s, event.peak_s) for event in expected
    ]
    scores = [event["score"] for event in found]
    np.testing.assert_allclose(scores, [event.score for event in expected], rtol=0, atol=SCORE_TOLERANCE)


def test_a_minute_has_pythons_events(heard: Page, expected: list[Event]) -> None:
    assert_same(events(heard), expected)
    assert {event.label for event in expected} == set(LABELS) and len(expected) > 10
    assert heard.evaluate("document.getElementById('status').textContent") == (
        f"minute.wav: 0:59.30 heard, {len(expected)} events"
    )
    assert heard.evaluate("document.getElementById('head').hidden && document.getElementById('strip').hidden")
    assert heard.complaints == []


def test_the_list_says_when_what_and_how_sure(heard: Page, expected: list[Event]) -> None:
    rows = heard.evaluate(
        "[...document.querySelectorAll('#list tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    assert len(rows) == len(expected)
    for (begin, label, score, duration, button), event in zip(rows, expected, strict=True):
        assert begin == f"0:{event.start_s:05.2f}" and label[1:] == event.label.replace("_", " ") and button == "Play"
        assert float(score) == pytest.approx(event.score, abs=0.011)
        assert duration == f"{event.end_s - event.start_s:.2f} s"
    counts = heard.evaluate(
        "[...document.querySelectorAll('#counts tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    for (named, count, an_hour, _), label in zip(counts, LABELS, strict=True):
        number = sum(event.label == label for event in expected)
        assert named[1:] == label.replace("_", " ") and int(count) == number
        assert float(an_hour) == pytest.approx(number * 3600 / 59.3, abs=0.6)


def test_every_button_has_a_name_of_its_own(heard: Page, expected: list[Event]) -> None:
    names = heard.evaluate("[...document.querySelectorAll('#list button')].map((button) => button.ariaLabel)")
    assert len(set(names)) == len(expected) and all(
        re.fullmatch(r"Play [a-z ]+ at 0:\d\d\.\d\d", name) for name in names
    )
    assert heard.evaluate("document.getElementById('listed').tabIndex") == 0  # scrolls by the keyboard


def test_an_event_is_played_with_what_is_around_it(heard: Page, expected: list[Event]) -> None:
    number = next(i for i, event in enumerate(expected) if event.start_s > 10)
    event = expected[number]
    played = heard.evaluate(f"""(() => {{
        const original = AudioBufferSourceNode.prototype.start;
        return new Promise((resolve) => {{
            AudioBufferSourceNode.prototype.start = function () {{
                AudioBufferSourceNode.prototype.start = original;
                resolve([...this.buffer.getChannelData(0)]);
            }};
            document.querySelectorAll('#list button')[{number}].click();
        }});
    }})()""")
    first, end = (round(time_s * AUDIO.sample_rate_hz) for time_s in (event.start_s - 0.2, event.end_s + 0.2))
    np.testing.assert_array_equal(np.array(played) * AUDIO.pcm_full_scale, minute()[first:end])
    start = heard.evaluate("import('/main.js').then((m) => m.take.windows[m.take.chosen].start)")
    assert start <= event.peak_s * AUDIO.sample_rate_hz < start + AUDIO.clip_samples


def test_events_are_kept_as_tables_and_labels(heard: Page, expected: list[Event], tmp_path: Path) -> None:
    heard.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    table, labels = tmp_path / "minute.events.csv", tmp_path / "minute.labels.txt"
    for button, path in (("csv", table), ("audacity", labels)):
        heard.evaluate(f"document.getElementById('{button}').click()")
        until = time.monotonic() + 30
        while not path.is_file():
            assert time.monotonic() < until, f"no {path.name} in {sorted(tmp_path.iterdir())}"
            time.sleep(0.05)
    assert labels.read_bytes() == as_audacity(expected)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["file"], row["label"], float(row["start_s"])) for row in rows] == [
        ("minute.wav", event.label, pytest.approx(event.start_s, abs=1e-3)) for event in expected
    ]


def test_a_part_of_the_timeline_can_be_looked_at(heard: Page) -> None:
    """A click on it chooses the window there, whatever part is shown."""
    click = """new Promise((resume) => {{
        const span = document.getElementById('span');
        span.value = '{span}';
        span.dispatchEvent(new Event('change'));
        const canvas = document.getElementById('timeline');
        const { left, top } = canvas.getBoundingClientRect();
        const at = {{ clientX: left + {share} * canvas.clientWidth, clientY: top + 5, bubbles: true }};
        canvas.dispatchEvent(new MouseEvent('click', at));
        import('/main.js').then((m) => resume(m.take.windows[m.take.chosen].start / m.spec.sample_rate_hz));
    }})""".replace("{ left, top }", "{{ left, top }}")
    assert heard.evaluate(click.format(span="", share=0.5)) == pytest.approx(59.3 / 2 - 1, abs=0.6)
    assert heard.evaluate(click.format(span="10", share=0.9)) == pytest.approx(59.3 / 2 - 1 + 4, abs=1.1)
    heard.evaluate("document.getElementById('span').value = ''")
    assert heard.complaints == []


def test_silence_and_short_sounds_have_no_events(page: Page, tmp_path: Path) -> None:
    for name, pcm in (("silence.wav", np.zeros(90_000, np.int16)), ("short.wav", np.array([0, 900, -900], np.int16))):
        sf.write(tmp_path / name, pcm, AUDIO.sample_rate_hz, subtype="PCM_16")
        feed(page, tmp_path / name)
        assert "heard" in page.evaluate("document.getElementById('status').textContent")
    assert page.complaints == []


def test_what_is_no_number_is_said(page: Page, tmp_path: Path) -> None:
    sound = np.full(40_000, 0.1, np.float32)
    sound[500] = np.nan
    sf.write(tmp_path / "nan.wav", sound, AUDIO.sample_rate_hz, subtype="FLOAT")
    page.choose_file("#picker", tmp_path / "nan.wav")
    page.wait("document.getElementById('status').textContent.startsWith('nan.wav can')")
    assert feed(page, write_minute(tmp_path / "minute.wav"))  # it goes on
    assert page.complaints == []


def test_the_microphone_lists_events_as_they_end(page: Page) -> None:
    page.evaluate("document.getElementById('record').click()")
    assert (
        page.evaluate("document.querySelectorAll('#list tbody tr').length") == 0
    )  # those of the sound before are gone
    page.wait("document.querySelectorAll('#list tbody tr').length >= 2", timeout_s=60)
    assert page.evaluate("document.body.dataset.state") == "hearing"
    assert "so far" in page.evaluate("document.getElementById('status').textContent")
    page.evaluate("document.getElementById('record').click()")
    page.wait("document.body.dataset.state === 'done'")
    assert page.evaluate("document.getElementById('status').textContent").startswith("Microphone: ")
    assert len(events(page)) >= 2 and page.complaints == []


@pytest.mark.parametrize(("width", "dark"), [(360, False), (390, True), (1280, False)])
def test_nothing_is_wider_than_the_window(page: Page, tmp_path: Path, width: int, dark: bool) -> None:
    page.resize(width, 800, phone=width < 1000, dark=dark)
    feed(page, write_minute(tmp_path / f"minute-{width}.wav"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.getElementById('timeline').clientHeight") == 66 * len(LABELS) + 18
    assert "never a diagnostic" in page.evaluate("document.querySelector('.warning').textContent")


def test_the_page_knows_the_files_rules(eventful_page: Path, manifest: Manifest) -> None:
    files = make_files(eventful_page, hop_s=0.5, litert=LITERTJS, registry=None, log=print)
    facts = json.loads(files["/demo.json"])
    assert manifest.steps is not None and manifest.events is not None
    assert facts["rules"] == json.loads(json.dumps(dataclasses.asdict(manifest.events)))
    assert facts["steps"] == manifest.steps.count and facts["outputs"]["steps"] == manifest.steps.scores
    assert facts["hop_samples"] == manifest.steps.count // 2 * (AUDIO.clip_samples // manifest.steps.count)


def test_a_plain_server_is_enough(eventful_page: Path, expected: list[Event], tmp_path: Path) -> None:
    """In a subfolder, from Python's http.server: no headers of its own, and another page at the root."""
    folder = tmp_path / "site/demos/of ours"
    files = make_files(eventful_page, hop_s=1.0, litert=LITERTJS, registry=None, log=print)
    write_page(files, folder, notice=b"", overwrite=False)
    (tmp_path / "site/index.html").write_text("<!doctype html>another page")
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        chromium(tmp_path / "profile") as page,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://localhost:{server.server_address[1]}/demos/of%20ours/"
        page.open(address)
        page.wait("document.body.dataset.state !== 'loading'", timeout_s=120)
        assert page.evaluate("document.body.dataset.state") == "ready"
        assert page.evaluate("crossOriginIsolated") is False
        page.choose_file("#picker", write_minute(tmp_path / "minute.wav"))
        page.wait("document.body.dataset.state === 'done'", timeout_s=120)
        found = page.evaluate("import(new URL('main.js', location.href).href).then((m) => m.take.events)")
        assert [(event["label"], event["start"], event["end"]) for event in found] == [
            (event.label, event.start_s, event.end_s) for event in expected
        ]
        page.evaluate("document.querySelector('#sounds button').click()")
        page.wait("document.getElementById('status').textContent.startsWith('breath, synthetic: 0:04.00 heard')")
        assert [url for url in page.requests if not url.startswith((address, "blob:"))] == []
        assert page.complaints == []
        assert page.evaluate(f"fetch({json.dumps('http://127.0.0.1:9/')}).then(() => 1, () => 'refused')") == "refused"
        assert any("Content Security Policy" in complaint for complaint in page.complaints)
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
