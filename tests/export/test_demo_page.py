"""The demo's page in headless Chromium: the same windows and embeddings as Python's, no other address, no error on the
console.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import soxr
from chromium import LITERTJS, NEEDS_DEMO, Page, chromium
from conftest import Bundles
from numpy.typing import NDArray

from hearlite.audio.clips import clip_starts_s, cut, from_int16, is_silent, to_int16
from hearlite.audio.decode import read_recording
from hearlite.audio.synth import CLASSES
from hearlite.bundle import open_bundle
from hearlite.export.demo.examples import landmarks, sound
from hearlite.export.demo.server import make_files, open_server
from hearlite.spec import AUDIO
from hearlite.tflite.interpreter import TfliteModel
from hearlite.tflite.parts import frontend_part, network_part

HOP_S = 0.75
# WebAssembly's float kernels add in another order than x86's: 4e-7 of the image's values, 3e-5 of a float32 embedding's
# length were seen. An int8 network takes that over a rounding edge in one window of fifty, and is then a few steps off;
# from the same image it gives the same bits up to the sum that is its embedding, which is added in float32.
IMAGE_TOLERANCE, FLOAT_TOLERANCE, SUM_TOLERANCE = 2e-6, 1e-4, 1e-6
pytestmark = NEEDS_DEMO


@dataclasses.dataclass(frozen=True)
class Demo:
    page: Page
    addresses: dict[str, str]  # by precision

    def open(self, precision: str) -> Page:
        """The page of a file, ready."""
        self.page.complaints.clear()
        if self.page.evaluate("location.href") != self.addresses[precision]:
            self.page.requests.clear()
            self.page.open(self.addresses[precision])
        self.page.wait("document.body.dataset.state !== 'loading'", timeout_s=120)
        assert self.page.evaluate("document.body.dataset.state") != "failed", self.page.evaluate(
            "document.getElementById('status').textContent"
        )
        return self.page


@pytest.fixture(scope="module")
def demo(bundle: Bundles, headed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("chromium")
    trained_subjects = np.tile(sound("cough", 0)[0], 3)
    sf.write(folder / "microphone.wav", trained_subjects, AUDIO.sample_rate_hz)
    fake = (
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}",
    )
    with ExitStack() as stack:
        addresses = {}
        for precision, file in (("i8", bundle.i8), ("f32", bundle.f32), ("head", headed)):
            server = stack.enter_context(open_server(port=0))
            server.files = make_files(file, hop_s=HOP_S, litert=LITERTJS, registry=None, log=print)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            addresses[precision] = f"http://localhost:{server.server_address[1]}/"
        yield Demo(stack.enter_context(chromium(folder / "profile", *fake)), addresses)


def feed(page: Page, path: Path) -> list[dict[str, Any]]:
    """Choose a file as a user does; what the page made of each of its windows."""
    page.choose_file("#picker", path)
    page.wait(
        "document.body.dataset.state === 'done' &&"
        f" document.getElementById('status').textContent.startsWith({json.dumps(path.name)})"
    )
    return windows(page)


def windows(page: Page) -> list[dict[str, Any]]:
    script = "m.take.windows.map((w) => ({ ...w, embedding: [...w.embedding] }))"
    found: list[dict[str, Any]] = page.evaluate(f"import('/main.js').then((m) => {script})")
    return found


def python_windows(path: Path) -> tuple[list[int], NDArray[np.float32]]:
    """First samples and clips of a recording, as every command of hearlite takes them."""
    samples = read_recording(path)
    starts_s = clip_starts_s(recording_s=len(samples) / AUDIO.sample_rate_hz, hop_s=HOP_S)
    return [round(start_s * AUDIO.sample_rate_hz) for start_s in starts_s], np.stack(
        [cut(samples, start_s=start_s) for start_s in starts_s]
    )


def record(folder: Path, name: str, pcm: NDArray[np.int16], rate_hz: int = AUDIO.sample_rate_hz) -> Path:
    sf.write(folder / name, pcm, rate_hz, subtype=None if name.endswith("mp3") else "PCM_16")
    return folder / name


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    """16-bit WAVs: 4 s, 5.3 s of two channels, one too short for a window, full scale, and silence."""
    cough, wheeze = sound("cough", 1)[0], sound("wheeze", 2)[0]
    both = np.concatenate([cough, wheeze])[: int(5.3 * AUDIO.sample_rate_hz)]
    extremes = np.resize(np.array([32_767, -32_768, 1, -1, 0, 12_345], np.int16), AUDIO.clip_samples)
    return [
        record(tmp_path, "long.wav", cough),
        record(tmp_path, "stereo.wav", np.stack([both, both[::-1]], axis=1)),
        record(tmp_path, "short.wav", wheeze[: AUDIO.clip_samples // 3]),
        record(tmp_path, "extremes.wav", extremes),
        record(tmp_path, "silence.wav", np.zeros(AUDIO.clip_samples, np.int16)),
    ]


@pytest.mark.parametrize("precision", ["i8", "f32"])
def test_embeddings_are_pythons(demo: Demo, bundle: Bundles, recordings: list[Path], precision: str) -> None:
    content = getattr(bundle, precision).read_bytes()
    embedder, _ = open_bundle(getattr(bundle, precision))
    frontend, network = (
        TfliteModel(frontend_part(content, input_name="audio", output_name="image")),
        TfliteModel(network_part(content)),
    )
    page = demo.open(precision)
    assert "golden sound's embedding is Python's" in page.evaluate("document.getElementById('facts').textContent")
    for path in recordings:
        starts, clips = python_windows(path)
        found = feed(page, path)
        assert [window["start"] for window in found] == starts
        assert [window["nearest"] is None for window in found] == [is_silent(clip) for clip in clips]
        images = np.array(page.evaluate(IMAGES), np.float32).reshape(-1, *network.inputs[0].shape)
        for clip, image, window in zip(clips, images, found, strict=True):
            np.testing.assert_allclose(image, frontend.run(clip[None])["image"], rtol=0, atol=IMAGE_TOLERANCE)
            got, ((behind,),) = np.array(window["embedding"], np.float32), network.run(image).values()
            if precision == "i8":
                scale = float(np.abs(behind).max())
                np.testing.assert_allclose(got, behind, rtol=0, atol=SUM_TOLERANCE * scale, err_msg=path.name)
            else:
                whole = embedder.embed(clip[None])[0]
                assert np.linalg.norm(got - whole) <= FLOAT_TOLERANCE * np.linalg.norm(whole), path.name
    assert [url for url in page.requests if not url.startswith(demo.addresses[precision])] == []
    assert page.complaints == []


IMAGES = """Promise.all([import('/main.js'), import('/sound.js')]).then(async ([main, sound]) => {
    const images = [];
    for (const { start } of main.take.windows) images.push(...(await main.models.image(sound.cut(main.take.samples, start, main.spec))));
    return images;
})"""


def test_scores_of_a_head_are_pythons(demo: Demo, headed: Path, recordings: list[Path]) -> None:
    """From the page's own embedding: how near that is to Python's, the test above says."""
    page = demo.open("head")
    found = feed(page, recordings[0])
    model, manifest = TfliteModel(headed), open_bundle(headed)[1]
    _, clips = python_windows(recordings[0])
    same = 0
    for clip, window in zip(clips, found, strict=True):
        got, wanted = list(window["scores"].values()), model.run(clip[None])
        if np.allclose(np.array(window["embedding"], np.float32), wanted["embedding"][0], rtol=0, atol=SUM_TOLERANCE):
            np.testing.assert_allclose(got, wanted["scores"][0], rtol=0, atol=1e-6)
            same += 1
    assert same > len(clips) // 2
    assert manifest.head is not None
    shown = page.evaluate("document.getElementById('scores').textContent")
    assert all(label.name in shown and f"{label.threshold:.3f}" in shown for label in manifest.head.labels)
    assert page.evaluate("document.getElementById('head').hidden") is False
    assert page.complaints == []
    assert demo.open("i8").evaluate("document.getElementById('head').hidden") is True


def test_what_is_drawn_is_what_python_computes(demo: Demo, bundle: Bundles, recordings: list[Path]) -> None:
    page = demo.open("i8")
    found = feed(page, recordings[0])
    _, clips = python_windows(recordings[0])
    chosen = page.evaluate("import('/main.js').then((m) => m.take.chosen)")
    assert chosen == int(np.argmax((clips.astype(np.float64) ** 2).sum(axis=1)))  # the loudest window
    frontend = TfliteModel(frontend_part(bundle.i8.read_bytes(), input_name="audio", output_name="image"))
    image = np.array(page.evaluate("import('/main.js').then((m) => [...m.view.image])"))
    np.testing.assert_allclose(image, frontend.run(clips[chosen][None])["image"].ravel(), rtol=0, atol=IMAGE_TOLERANCE)
    known = landmarks(open_bundle(bundle.i8)[0])
    centred = np.array([window["embedding"] for window in found]) - known.mean
    directions = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = (directions @ known.directions.T).reshape(len(clips), len(CLASSES), -1).max(axis=2)
    np.testing.assert_allclose([window["point"] for window in found], directions @ known.axes.T, atol=1e-5)
    for window, row in zip(found, cosines, strict=True):
        assert {near["label"]: near["cosine"] for near in window["nearest"]} == pytest.approx(
            dict(zip(CLASSES, row, strict=True)), abs=1e-5
        )
        assert window["nearest"][0]["cosine"] == pytest.approx(row.max(), abs=1e-5)
    assert page.evaluate("document.querySelectorAll('#nearest li').length") == len(CLASSES)
    assert page.evaluate("document.querySelector('#facts').textContent").count("ms a window") == 1


def test_windows_start_where_pythons_do(demo: Demo) -> None:
    page = demo.open("i8")
    rng = np.random.default_rng(0)
    lengths = [
        2,
        AUDIO.clip_samples - 1,
        AUDIO.clip_samples,
        AUDIO.clip_samples + 1,
        *(int(n) for n in rng.integers(2, 20 * AUDIO.clip_samples, 40)),
    ]
    for hop_s in (2.0, 1.0, 0.37):
        spec = json.dumps({"clip_samples": AUDIO.clip_samples, "hop_samples": round(hop_s * AUDIO.sample_rate_hz)})
        found = page.evaluate(
            f"import('/sound.js').then((m) => {lengths}.map((length) => m.clipStarts(length, {spec})))"
        )
        for length, starts in zip(lengths, found, strict=True):
            expected = clip_starts_s(recording_s=length / AUDIO.sample_rate_hz, hop_s=hop_s)
            assert starts == [round(start_s * AUDIO.sample_rate_hz) for start_s in expected], (length, hop_s)


def test_other_formats_are_near_pythons(demo: Demo, tmp_path: Path) -> None:
    """The browser decodes and resamples them: its scale of PCM and its low-pass are not libsndfile's and soxr's."""
    page, pcm = demo.open("i8"), sound("cough", 3)[0]
    faster = 3 * AUDIO.sample_rate_hz
    up = to_int16(soxr.resample(from_int16(pcm), AUDIO.sample_rate_hz, faster) * np.float32(0.9))
    files = {
        record(tmp_path, "same.flac", pcm): 80.0,
        record(tmp_path, "same.mp3", pcm): 80.0,
        record(tmp_path, "48k.wav", np.stack([up, up], 1), faster): 20.0,
    }
    for path, least_db in files.items():
        expected = read_recording(path)
        feed(page, path)
        got = np.array(page.evaluate("import('/main.js').then((m) => [...m.take.samples])"))
        assert len(got) == len(expected)
        found_db = 10 * np.log10((expected**2).sum() / ((got - expected) ** 2).sum())  # 93, 127 and 25 in Chromium 156
        assert found_db > least_db, path.name
        assert "decoded by the browser" in page.evaluate("document.getElementById('status').textContent")
    assert page.complaints == []


def test_what_is_no_sound_is_said(demo: Demo, tmp_path: Path, recordings: list[Path]) -> None:
    page = demo.open("i8")
    for name, content in (
        ("broken.wav", b"RIFF\x10\0\0\0WAVEfmt \xff\xff\xff\xff"),
        ("notes.txt", b"no sound"),
        ("empty.wav", b""),
    ):
        (tmp_path / name).write_bytes(content)
        page.choose_file("#picker", tmp_path / name)
        page.wait(f"document.getElementById('status').textContent.startsWith({json.dumps(name + ' can')})")
    assert len(feed(page, recordings[0])) > 1  # it goes on
    assert page.complaints == []


def test_a_dropped_file_is_heard(demo: Demo) -> None:
    page = demo.open("i8")
    page.evaluate("""fetch('sounds/snore.wav').then((answer) => answer.arrayBuffer()).then((bytes) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([bytes], 'dropped.wav'));
        document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    })""")
    page.wait(
        "document.body.dataset.state === 'done' &&"
        " document.getElementById('status').textContent.startsWith('dropped.wav: 4.00 s')"
    )
    assert page.complaints == []


def test_the_microphone(demo: Demo) -> None:
    page = demo.open("i8")
    page.evaluate("document.getElementById('window').max = 0; document.getElementById('record').click()")
    page.wait("document.getElementById('window').max >= 1 && document.getElementById('record').textContent === 'Stop'")
    assert page.evaluate("document.body.dataset.state") == "hearing"
    page.evaluate("document.getElementById('record').click()")
    page.wait("document.body.dataset.state === 'done'")
    found, length = windows(page), page.evaluate("import('/main.js').then((m) => m.take.samples.length)")
    starts_s = clip_starts_s(recording_s=length / AUDIO.sample_rate_hz, hop_s=HOP_S)
    assert [window["start"] for window in found] == [round(start_s * AUDIO.sample_rate_hz) for start_s in starts_s]
    assert all(window["nearest"] for window in found), "the recording is silent"
    time.sleep(0.3)
    assert page.evaluate("import('/main.js').then((m) => m.take.samples.length)") == length, "it still listens"
    assert page.complaints == []


def test_the_page_can_reach_nobody_else(demo: Demo) -> None:
    page = demo.open("i8")
    assert (
        page.evaluate(f"fetch({json.dumps(demo.addresses['f32'])}).then(() => 'reached', () => 'refused')") == "refused"
    )
    assert any("Content Security Policy" in complaint for complaint in page.complaints)
    assert page.evaluate("crossOriginIsolated") is True


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_nothing_is_wider_than_the_window(demo: Demo, recordings: list[Path], width: int) -> None:
    page = demo.open("i8")
    page.resize(width, 800, phone=width < 1000)
    feed(page, recordings[1])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.querySelectorAll('canvas')].every((canvas) => canvas.clientHeight < 600)")
