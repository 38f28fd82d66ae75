"""Records on a Ray cluster: the very `write_shard` of one machine, in actors that load the teacher once each.

Recordings, records and a teacher's files are found under the same paths on all nodes, so they lie on a file system that
the nodes share.
"""

from __future__ import annotations

from pathlib import Path

from hearlite.data.dataset import Dataset
from hearlite.data.records import AS_RECORDED, Records, Shard, ShardPlan, Views, complete, plan_shards, write_shard
from hearlite.embedders.base import EmbedderInfo
from hearlite.embedders.open import open_teacher
from hearlite.errors import HearliteError, InputError, MissingExtraError, UsageError
from hearlite.progress import progress

RESTARTS = 3  # of an actor whose node went away; its shard is made again, for nothing of it is there yet


class ShardWriter:
    """What runs on a node."""

    def __init__(self, teacher: str) -> None:
        self.teacher = open_teacher(teacher)

    def info(self) -> EmbedderInfo:
        return self.teacher.info

    def write(self, plan: ShardPlan, views: Views) -> Shard:
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
    """As `write_records`, by `actors` actors, each with one shard in flight; a shard that is there is not made again.

    `teacher` is what `open_teacher` takes. `address` is that of a cluster, such as "auto"; "" starts Ray on this
    machine and ends it, unless it runs already. Raises MissingExtraError without Ray, and what `write_records` and the
    teacher raise.
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
    ours = not ray.is_initialized()
    if ours:
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
            f"Ray failed: {str(error).strip().splitlines()[-1]}", f"is {teacher} there on every node?"
        ) from error
    finally:
        if ours:
            ray.shutdown()
