"""What the demo's page makes of the sounds that android_vectors.py wrote, in headless Chromium, beside what Python made of them.

`python tests/page_vectors.py VECTORS [--litert DIR]` prints one JSON object: by file, how its windows compare.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
from chromium import Page, chromium

from hearlite.export.demo.server import make_files, open_server
from hearlite.files import read_json


def compare(page: Page, folder: Path, model: Path, sounds: list[str], *, address: str, dim: int) -> dict[str, Any]:
    """Every window of every sound, in the page's embeddings and Python's."""
    page.open(address)
    page.wait("document.body.dataset.state !== 'loading'", timeout_s=300)
    equal, differences = 0, []
    for sound in sounds:
        page.choose_file("#picker", folder / f"{sound}.wav")
        page.wait(f"document.body.dataset.state === 'done' && document.getElementById('status').textContent.startsWith({json.dumps(sound)})")
        found = page.evaluate("import('/main.js').then((m) => m.take.windows.map((window) => [...window.embedding]))")
        wanted = np.fromfile(folder / f"{sound}.{model.stem}.f32", "<f4").reshape(-1, dim)
        for got, expected in zip(np.asarray(found, np.float32), wanted, strict=True):
            equal += int(np.array_equal(got, expected))
            differences.append(float(np.linalg.norm(got - expected) / np.linalg.norm(expected)))
    elsewhere = [url for url in page.requests if not url.startswith(address)]
    return {
        "windows": len(differences),
        "equal": equal,
        "largest_relative_difference": max(differences),
        "requests_elsewhere": len(elsewhere),
        "complaints": len(page.complaints),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--litert", type=Path, help="As of hearlite demo.")
    arguments = parser.parse_args()
    listed = read_json(arguments.vectors / "vectors.json")
    results = {}
    for name in listed["models"]:
        with open_server(port=0) as server, tempfile.TemporaryDirectory() as profile:
            model = arguments.vectors / name
            server.files = make_files(
                model, hop_s=listed["hop_s"], litert=arguments.litert, registry=None, say=lambda text: print(text, file=sys.stderr)
            )
            threading.Thread(target=server.serve_forever, daemon=True).start()
            dim = read_json(model.with_suffix(".json"))["dim"]
            with chromium(Path(profile) / "chromium") as page:
                address = f"http://localhost:{server.server_address[1]}/"
                results[name] = compare(page, arguments.vectors, model, listed["sounds"], address=address, dim=dim)
            server.shutdown()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
