"""Compute the record cache on a Ray cluster.

Each actor loads the teacher once and runs the same `write_shard` as on one machine. Recordings, records and the
teacher's files must have the same paths on all nodes, so they must be on a shared file system.
"""

from __future__ import annotations

from pathlib import Path

from hearlite.data.dataset import Dataset
from hearlite.data.records import AS_RECORDED, Records, Shard, ShardPlan, Views, complete, plan_shards, write_shard
from hearlite.embedders.base import EmbedderInfo
from hearlite.embedders.open import open_teacher
from hearlite.errors import HearliteError, InputError, MissingExtraError, UsageError
from hearlite.progress import progress

RESTARTS = 3  # of an actor whose node is lost; its shard is computed again, because shards appear only when complete


class ShardWriter:
    """The actor that runs on a node; `teacher` is named as for `open_teacher`."""

    def __init__(self, teacher: str) -> None:
        self.teacher = open_teacher(teacher)

    def info(self) -> EmbedderInfo:
        """Return the teacher's description."""
        return self.teacher.info

    def write(self, plan: ShardPlan, views: Views) -> Shard:
        """Write one shard."""
        return write_shard(plan.clips, teacher=self.teacher, path=plan.path, views=views)


def write_records_on_ray(
    dataset: Dataset,
    *,
    teacher: str,
    folder: Path,
    views: Views = AS_RECORDED,
    actors: int = 1,
    gpus_per_actor: float = 0.0,
    address: str = "",
) -> Records:
    """Write the record cache of a dataset with Ray actors, as `write_records` does in one process.

    Each actor works on one shard at a time. Shards that exist are kept.

    Parameters
    ----------
    dataset : Dataset
        The clips; those of test subjects are left out.
    teacher : str
        The teacher, named as for `open_teacher`.
    folder : Path
        Folder of the records.
    views : Views
        How many views of each training clip are recorded.
    actors : int
        Number of actors, at least 1.
    gpus_per_actor : float
        GPUs of each actor, 0 or more; may be a fraction.
    address : str
        Address of a Ray cluster, such as "auto". With "", Ray is started on this machine and stopped at the end, unless
        it is running already.

    Returns
    -------
    Records
        The complete cache.

    Raises
    ------
    MissingExtraError
        When Ray is not installed.
    UsageError
        When a number of actors or GPUs is out of range.
    InputError
        When Ray fails, or for the reasons of `write_records` and the teacher.
    """
    if actors < 1 or gpus_per_actor < 0:
        raise UsageError(
            f"{actors} actors with {gpus_per_actor} GPUs each", "use 1 actor or more, and 0 GPUs or a share of them"
        )
    try:
        import ray  # type: ignore[import-not-found]
        from ray.util import ActorPool  # type: ignore[import-not-found]
    except ModuleNotFoundError as error:
        raise MissingExtraError("making records on a cluster", "ray", "cluster") from error
    started = not ray.is_initialized()
    if started:
        ray.init(address=address or None, include_dashboard=False if not address else None, log_to_driver=False)
    try:
        remote = ray.remote(num_cpus=1, num_gpus=gpus_per_actor, max_restarts=RESTARTS, max_task_retries=RESTARTS)(
            ShardWriter
        )
        writers = [remote.remote(teacher) for _ in range(actors)]
        plans = plan_shards(dataset, teacher=ray.get(writers[0].info.remote()), folder=folder.resolve(), views=views)
        shards: list[Shard] = []
        with progress(f"records ({teacher}, {actors} actors)", total=len(plans)) as advance:
            for shard in ActorPool(writers).map_unordered(lambda writer, plan: writer.write.remote(plan, views), plans):
                shards.append(shard)
                advance(len(shards))
        return complete(dataset, sorted(shards, key=lambda shard: shard.path))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, HearliteError):
            raise cause from error
        raise InputError(
            f"Ray failed: {str(error).strip().splitlines()[-1]}", f"check that {teacher} exists on every node"
        ) from error
    finally:
        if started:
            ray.shutdown()
