"""How many replicas train, and how they communicate.

One process and one device is the case of one replica: there is no other code path.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from hearlite.data.records import ALONE, Worker
from hearlite.errors import UsageError


@functools.cache
def strategy() -> Any:
    """Return the strategy of all workers of TF_CONFIG where it is set, else of this machine's devices.

    All GPUs, else the CPU (several only where it was split into logical ones).

    With TF_CONFIG call it before anything else uses TensorFlow, such as a teacher: the connections are made then.
    Raises UsageError otherwise.
    """
    if worker() != ALONE:
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"the workers of TF_CONFIG can't be joined: {error}",
                "call hearlite.distill.distribute.strategy() first",
            ) from error
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return (
        tf.distribute.MirroredStrategy([device.name for device in devices])
        if len(devices) > 1
        else tf.distribute.get_strategy()
    )


def worker() -> Worker:
    """Which of the processes of TF_CONFIG this one is. Raises UsageError for a TF_CONFIG that says it wrongly.

    https://www.tensorflow.org/guide/distributed_training#tf_config: {"cluster": {"worker": [host:port, ...]}, "task":
    {"type", "index"}}.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return ALONE
    try:
        config = json.loads(text)
        places = [
            (kind, index) for kind in ("chief", "worker") for index in range(len(config["cluster"].get(kind, ())))
        ]
        return Worker(places.index((config["task"]["type"], int(config["task"]["index"]))), len(places))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"TF_CONFIG is {text!r}: {error}", "name a cluster of workers, and this task's type and index in it"
        ) from error


def slice_of_batch(rows: int, *, replica: int, replicas: int) -> slice:
    """Return the rows of the global batch that a replica trains on.

    `rows` is a multiple of `replicas`, so that means of means are means.
    """
    each = rows // replicas
    return slice(replica * each, (replica + 1) * each)


def shared_out(arrays: Sequence[Any], *, among: Any) -> tuple[Any, ...]:
    """Each array of a global batch as per-replica tensors of its slices."""

    def part(array: Any) -> Callable[[Any], Any]:
        return lambda context: tf.constant(
            array[
                slice_of_batch(
                    len(array), replica=context.replica_id_in_sync_group, replicas=context.num_replicas_in_sync
                )
            ]
        )

    return tuple(among.experimental_distribute_values_from_function(part(array)) for array in arrays)


def first_replica(value: Any, *, of: Any) -> Any:
    """Return the value on this process's first replica, as numpy: for what is the same on all.

    Unlike reading a variable, it asks no other process.
    """
    return of.experimental_local_results(value)[0].numpy()


def agreed(numbers: Sequence[float], *, among: Any) -> list[float]:
    """Return the mean over all replicas, the same everywhere to the last bit.

    It is also where processes wait for each other.

    Processes on unequal machines round differently, and one that stopped early by its own figure would leave the others
    waiting for ever.
    """
    if among.num_replicas_in_sync == 1:
        return list(numbers)

    def mean_of_own(own: Any) -> Any:
        return tf.distribute.get_replica_context().all_reduce(
            tf.distribute.ReduceOp.MEAN, tf.identity(own)
        )  # a copy on the replica's own device

    mean = tf.function(lambda own: among.run(mean_of_own, args=(own,)))
    return [float(number) for number in first_replica(mean(tf.constant(numbers, tf.float64)), of=among)]
