"""Manifests whose texts would become code or markup: refused where they are names, shown as text where they are text."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Bundles

from hearlite.bundle import METADATA_NAME, Manifest, manifest_path, open_bundle, read_manifest
from hearlite.errors import InputError
from hearlite.export.card import model_card, notice
from hearlite.export.package import PLATFORMS, package
from hearlite.model import load
from hearlite.serialization import to_dict
from hearlite.spec import AudioSpec, StudentSpec
from hearlite.tflite.classifier import Head
from hearlite.tflite.model_file import add_metadata

CODE = 'x"); import os; os.system("touch pwned"); ("'
MARKUP = "t\n\n# Heading\n<script>x</script> [l](http://e) `c` | *b*\x1b[2J"
Forge = Callable[..., Path]


@pytest.fixture
def forge(bundle: Bundles, tmp_path: Path) -> Forge:
    """Return a function that makes a bundle with other fields, as consistent as an exporter would make it."""

    def forged(file_name: str = bundle.i8.name, **fields: Any) -> Path:
        model = tmp_path / file_name
        data = {**to_dict(bundle.manifest("i8")), **fields}
        inside = {key: value for key, value in data.items() if key not in ("tflite_sha256", "golden_embedding")}
        content = add_metadata(bundle.i8.read_bytes(), METADATA_NAME, json.dumps(inside, ensure_ascii=False).encode())
        model.write_bytes(content)
        manifest_path(model).write_text(json.dumps({**data, "tflite_sha256": hashlib.sha256(content).hexdigest()}))
        shutil.copy(bundle.i8.with_suffix(".NOTICE.txt"), model.with_suffix(".NOTICE.txt"))
        return model

    return forged


def test_a_forged_bundle_is_as_good_as_an_exported_one(forge: Forge) -> None:
    assert open_bundle(forge(licence="other"))[1].licence == "other"


@pytest.mark.parametrize("value", [CODE, "", "a b", "1a", "é", "a\n", "x" * 65, "a.b", "${x}"])
@pytest.mark.parametrize("field", ["signature", "input", "output"])
def test_names_in_code_must_be_identifiers(field: str, value: str, forge: Forge, tmp_path: Path) -> None:
    model = forge(**{field: value})
    for use in (read_manifest, load, lambda path: package(path, platform="python", to=tmp_path / "app")):
        with pytest.raises(InputError, match=rf"\.json: {field} is "):
            use(model)
    assert not (tmp_path / "app").exists()


@pytest.mark.parametrize("value", ["other.tflite", CODE, "../x.tflite", "a/b.tflite", ""])
def test_the_name_must_be_the_files_own(value: str, forge: Forge) -> None:
    with pytest.raises(InputError, match=r"\.json: name is "):
        read_manifest(forge(name=value))


@pytest.mark.parametrize("name", ['a"b.tflite', "a'b.tflite", "a b.tflite", "a$(x).tflite", "é.tflite", "-a.tflite"])
def test_a_file_name_that_is_code_is_refused_too(name: str, forge: Forge) -> None:
    with pytest.raises(InputError, match=r"\.json: name is "):
        read_manifest(forge(name, name=name))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"dim": 31}, "golden_embedding has 32 values"),
        ({"macs": -1}, "macs -1"),
        ({"golden_tolerance": 1e9}, "golden_tolerance 1000000000.0"),
        ({"precision": "i9"}, "precision is 'i9'"),
        ({"macs": 10**400}, "not valid JSON"),
    ],
)
def test_values_that_can_not_be_are_refused(fields: dict[str, Any], says: str, forge: Forge) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        read_manifest(forge(**fields))


def hostile(value: Any) -> Any:
    """Return a manifest's part with MARKUP in every text that is free."""
    fixed = {"name": "a.tflite", "signature": "embed", "input": "audio", "output": "embedding", "precision": "i8"}
    if isinstance(value, (StudentSpec, AudioSpec)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kept = fixed if isinstance(value, Manifest) else {}
        kept = (
            {"adapted_from": value.adapted_from} if isinstance(value, Head) else kept
        )  # a hash; read_manifest checks it
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **{name: kept.get(name, hostile(part)) for name, part in parts.items()})
    if isinstance(value, tuple):
        return tuple(hostile(item) for item in value)
    return MARKUP if isinstance(value, str) else value


def test_markup_in_any_text_of_a_manifest_stays_text(bundle: Bundles, headed: Path) -> None:
    by_labels = read_manifest(headed)
    assert by_labels.head is not None
    adapted = dataclasses.replace(by_labels, head=dataclasses.replace(by_labels.head, adapted_from="0" * 64))
    for manifest in (bundle.manifest("i8"), by_labels, adapted):
        card = model_card(hostile(dataclasses.replace(manifest, gate_passed=False)))
        assert "\x1b" not in card and "\n# Heading" not in card
        outside = re.sub(r"`[^`\n]*`", "", card)  # in a code span everything is text
        assert "<script>" not in outside and "[l]" not in outside and "*b*" not in outside
        plain = model_card(manifest)
        assert len(card.splitlines()) == len(plain.splitlines()) + ("Don't ship it" not in plain) * 2
        assert len(notice(hostile(manifest)).splitlines()) == 4 and "\x1b" not in notice(hostile(manifest))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_packages_of_a_forged_bundle_hold_no_markup(
    platform: str, forge: Forge, tmp_path: Path, bundle: Bundles
) -> None:
    manifest = to_dict(bundle.manifest("i8"))
    teacher = {**manifest["teacher"], "name": MARKUP, "surrogate_note": MARKUP}
    model = forge(teacher=teacher, licence=MARKUP, notice=MARKUP, hearlite=MARKUP, size=MARKUP)
    files = {path.name: path for path in package(model, platform=platform, to=tmp_path / "app")}
    for name in ("README.md", PLATFORMS[platform].snippet):
        text = files[name].read_text()
        assert "<script>" not in re.sub(r"`[^`\n]*`", "", text) and "# Heading\n" not in text and "\x1b" not in text
    if platform == "python":
        ast.parse(files["embed.py"].read_text())
