"""The study of frontend forms: a form gives the image that it claims, parts of a file compute what it does, the table says what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from hearlite.audio import from_int16
from hearlite.benchmarks.cut import cut, network_of
from hearlite.benchmarks.frontend_costs import Costs, count, image_errors, made_sounds, stages
from hearlite.benchmarks.frontend_table import table
from hearlite.benchmarks.frontend_variants import Form, forms
from hearlite.benchmarks.stem_forms import Stem, stems
from hearlite.convert import OUTPUT, convert_frontend, convert_network, join_frontend
from hearlite.errors import InputError
from hearlite.flatbuffer import load, summarize
from hearlite.runtime import TfliteModel
from hearlite.spec import STUDENT_FRONTEND, student_spec
from hearlite.student import build_network


@pytest.fixture(scope="module")
def joined() -> bytes:
    network = build_network(student_spec("tiny", embedding_dim=8))
    return join_frontend(convert_frontend(STUDENT_FRONTEND), convert_network(network))


@pytest.mark.parametrize("form", [form for form in forms() if "stepped" not in form.name], ids=lambda form: form.name)
def test_a_form_gives_the_image_of_its_spec(form: Form, clips: Any) -> None:
    noises = {name: sound for name, sound in made_sounds().items() if name.startswith(("noise", "one step", "silence"))}
    found = image_errors(form.convert(), form.spec, real=from_int16(clips[:4]), made=noises)
    worst = [error["max"] for error in (found["error_real"], *found["error_made"].values())]
    if "float16" in form.name:
        assert None in worst and max(error for error in worst if error is not None) > 1e-4  # why it does not ship
    else:
        assert max(worst) < 1e-4


def test_parts_of_a_file_compute_what_it_does(joined: bytes, clips: Any) -> None:
    clip = from_int16(clips[:1])
    network, operators = network_of(joined), len(load(joined).subgraphs[0].operators)
    image = next(iter(TfliteModel(convert_frontend(STUDENT_FRONTEND)).run(clip).values()))
    whole = TfliteModel(joined).run(clip)[OUTPUT]
    np.testing.assert_allclose(next(iter(TfliteModel(network).run(image).values())), whole, rtol=0, atol=1e-5)
    length = len(load(network).subgraphs[0].operators)
    front = cut(joined, last=operators - length)
    np.testing.assert_array_equal(next(iter(TfliteModel(front).run(clip).values())), image)
    assert len(front) + len(network) < len(joined) + 20_000  # neither keeps the other's constants
    with pytest.raises(InputError, match="operators"):
        cut(joined, first=operators)
    with pytest.raises(InputError, match="no network"):
        network_of(front)


@pytest.mark.parametrize("stem", stems(), ids=lambda stem: stem.name)
def test_stems_are_int8_and_end_alike(stem: Stem) -> None:
    content = stem.convert()
    assert next(iter(TfliteModel(content).run(np.zeros(stem.network().input_shape[1:], np.float32)[None]).values())).shape == (1, 40, 16, 32)
    assert {op.input_type for op in summarize(content).ops if op.macs} == {"INT8"}
    image = np.arange(64 * 160, dtype=np.float32).reshape(1, 64, 160)
    ordered = next(iter(TfliteModel(stem.convert_order()).run(image).values()))
    p = stem.patch
    assert ordered.shape == (1, 160 // p, 64 // p, p * p)
    np.testing.assert_array_equal(ordered[0, 3, 5].reshape(p, p), image[0, 5 * p : 6 * p, 3 * p : 4 * p].T)  # (time, frequency)


def test_without_a_box_nothing_is_counted_and_the_table_says_why(joined: bytes, tmp_path: Path) -> None:
    costs = Costs(tmp_path, None)
    assert count(costs, joined) == {} and stages(costs, joined) == []
    error = {"max": None, "rms": None}
    form = {"form": "one", "bytes": 1, "operators": 2, "macs": 3, "instructions": {}, "ms": {"median": 1.0}, "error_real": None}
    results = {"forms": [{**form, "error_made": {"silence": error}}], "files": [], "stems": [], "stages": {"a.tflite": []}}
    text = table({**results, "instructions_missing": "no mirror", "runs": 1, "machine": "m", "clips": 0, "data": []})
    assert "not counted: no mirror" in text and "| one |  |  |  |  | 1.000 | 1 | 2 |" in text and "| not finite | silence |" in text
