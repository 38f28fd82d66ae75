"""The packaged models as ONNX in onnxruntime-web, in headless Chromium: what Python computes."""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import CHROMIUM, Page, chromium

from hearlite.audio.clips import from_int16
from hearlite.embedders.self_test import check_signals
from hearlite.models.registry import find_model
from hearlite.onnx.session import OnnxModel
from hearlite.onnx.write import INT8_TOLERANCE, write_onnx

# A folder whose node_modules have onnxruntime-web.
ORTWEB = Path(os.environ["HEARLITE_ORTWEB"]) if "HEARLITE_ORTWEB" in os.environ else None
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH"),
    pytest.mark.skipif(ORTWEB is None, reason="HEARLITE_ORTWEB names no folder with onnxruntime-web"),
]
pytest.importorskip("onnx", reason="needs the extra `onnx`")
pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")

_PAGE = """<!doctype html><script type="module">
import * as ort from '/ort/ort.wasm.min.mjs';
ort.env.wasm.wasmPaths = '/ort/';
ort.env.wasm.numThreads = 1;
window.run = async (file, sound) => {
  const session = await ort.InferenceSession.create(file, { executionProviders: ['wasm'] });
  const samples = new Float32Array(await (await fetch(sound)).arrayBuffer());
  const given = { [session.inputNames[0]]: new ort.Tensor('float32', samples, [1, samples.length]) };
  const found = await session.run(given);
  const times = [];
  for (let i = 0; i < 20; i++) { const start = performance.now(); await session.run(given); times.push(performance.now() - start); }
  const outputs = Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, Array.from(tensor.data)]));
  return { outputs, ms: times.sort((a, b) => a - b)[10] };
};
window.ready = true;
</script>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {  # noqa: RUF012 - of the base class
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, Path]]:
    folder = tmp_path_factory.mktemp("site")
    assert ORTWEB is not None
    (folder / "ort").symlink_to(ORTWEB.resolve() / "node_modules" / "onnxruntime-web" / "dist")
    (folder / "index.html").write_text(_PAGE)
    handler = functools.partial(_Quiet, directory=str(folder))
    with (
        http.server.ThreadingHTTPServer(("localhost", 0), handler) as server,
        chromium(tmp_path_factory.mktemp("profile")) as opened,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened.open(f"http://localhost:{server.server_address[1]}/index.html")
        opened.wait("window.ready")
        yield opened, folder
        server.shutdown()


@pytest.mark.parametrize("name", ["hearlite-tiny", "hearlite-small"])
def test_the_packaged_models_in_the_browser(page: tuple[Page, Path], name: str) -> None:
    opened, folder = page
    path, _ = write_onnx(find_model(name), folder)
    model = OnnxModel(path.read_bytes())
    worst = 0.0
    for signal, pcm in check_signals().items():
        clip = from_int16(pcm)
        (folder / "sound.f32").write_bytes(clip.astype("<f4").tobytes())
        found = opened.evaluate(f"run('/{path.name}', '/sound.f32?{signal}')")
        expected = model.run(clip[None])
        assert found["outputs"].keys() == expected.keys()
        embedding = np.asarray(found["outputs"]["embedding"])
        length = np.linalg.norm(expected["embedding"])
        worst = max(worst, float(np.linalg.norm(embedding - expected["embedding"][0]) / max(length, 1e-9)))
    print(f"{name}: embeddings in onnxruntime-web within {worst:.2g} of their length, {found['ms']:.1f} ms a window")
    assert worst < INT8_TOLERANCE
