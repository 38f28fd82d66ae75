"""The cluster makes the records that one machine makes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hearlite.data.cluster import write_records_on_ray
from hearlite.data.dataset import Dataset
from hearlite.data.records import Records, Views, read_examples, write_records
from hearlite.embedders.fake import FakeTeacher
from hearlite.errors import HearliteError, InputError, MissingExtraError, UsageError

pytestmark = pytest.mark.slow
HAS_RAY = importlib.util.find_spec("ray") is not None
VIEWS = Views(70)  # 3 clips a shard, so that there are several of them without touching the actors' constants


def vectors(records: Records) -> list[tuple[tuple[str, ...], list[list[float]]]]:
    return [
        (shard.clip_ids, read_examples(shard, np.arange(len(shard.clip_ids)))[1].tolist()) for shard in records.shards
    ]


@pytest.mark.skipif(not HAS_RAY, reason="ray, the extra 'cluster', is not installed")
def test_a_teacher_that_is_nowhere_is_named(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(HearliteError, match="nowhere"):
        write_records_on_ray(dataset, teacher="hear:/nowhere", folder=tmp_path)
    assert not list(tmp_path.glob("*.parquet"))


@pytest.fixture(scope="module")
def running_ray() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.skipif(not HAS_RAY, reason="ray, the extra 'cluster', is not installed")
def test_two_actors_make_what_one_process_makes(running_ray: None, dataset: Dataset, tmp_path: Path) -> None:
    found = write_records_on_ray(dataset, teacher="fake:8", folder=tmp_path / "ray", views=VIEWS, actors=2)
    assert len(found.shards) == 9
    assert vectors(found) == vectors(
        write_records(dataset, teacher=FakeTeacher(8), folder=tmp_path / "one", views=VIEWS)
    )
    found.shards[1].path.unlink()
    before = {shard.path: shard.path.stat().st_mtime_ns for shard in found.shards if shard.path.exists()}
    again = write_records_on_ray(dataset, teacher="fake:8", folder=tmp_path / "ray", views=VIEWS, actors=2)
    assert again == found
    assert {path: path.stat().st_mtime_ns for path in before} == before
    with pytest.raises(InputError, match="another teacher"):
        write_records_on_ray(dataset, teacher="fake:9", folder=tmp_path / "ray", views=VIEWS)


@pytest.mark.skipif(HAS_RAY, reason="ray is installed")
def test_without_ray_the_extra_is_named(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError, match="ray") as caught:
        write_records_on_ray(dataset, teacher="fake:8", folder=tmp_path)
    assert "hearlite[cluster]" in caught.value.hint


def test_impossible_clusters_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="0 actors"):
        write_records_on_ray(dataset, teacher="fake:8", folder=tmp_path, actors=0)
