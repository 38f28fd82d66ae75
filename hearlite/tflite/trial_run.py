"""Open and run one .tflite once, in a process that may crash. Writes "ok" or the runtime's complaint into a file.

    PYTHON trial_run.py MODEL SAMPLES CPU_SECONDS MEMORY_BYTES ANSWER

A script that needs numpy and LiteRT alone, so that it starts in a tenth of a second. It does whatever interpreter.py
does with a model, since a call that is missing here is one that crashes there: MODEL is opened with LiteRT, its tensors
are allocated, its signatures are read, and it is called on zeros and on noise; then all of that again with free
dimensions set to 1 and a last free one to SAMPLES. The limits are setrlimit's, where the system has it.
"""

import contextlib
import sys
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


def limit(cpu_s: int, memory_bytes: int) -> None:
    """Limit this process: processor time, memory beyond what it has, and no core dump."""
    if resource is None:
        return
    limits = {resource.RLIMIT_CPU: cpu_s, resource.RLIMIT_CORE: 0}
    with contextlib.suppress(OSError):  # no /proc: not Linux, where RLIMIT_AS has no effect either
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limits[resource.RLIMIT_AS] = pages * resource.getpagesize() + memory_bytes
    for what, value in limits.items():
        _, hard = resource.getrlimit(what)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (allowed, hard))


def read_signatures(interpreter: Any) -> None:
    """Read what the signatures say.

    A function, so that no runner is left: LiteRT refuses to call a model while one refers to its tensors.
    """
    for key in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(key)
        runner.get_input_details()
        runner.get_output_details()


def run(model: Path, samples: int, cpu_s: int, memory_bytes: int) -> None:
    """Open and run a model. Raises ValueError or RuntimeError where LiteRT refuses it."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    limit(cpu_s, memory_bytes)  # now: the libraries map more memory on machines with more cores

    rng = np.random.default_rng(0)

    def call() -> None:
        interpreter.allocate_tensors()
        read_signatures(interpreter)
        for size in (0.0, 0.5):
            for detail in interpreter.get_input_details():
                if detail["dtype"] is not np.bytes_ and detail["dtype"] is not np.object_:
                    noise = size * rng.uniform(-1.0, 1.0, detail["shape"])
                    interpreter.set_tensor(detail["index"], noise.astype(detail["dtype"]))
            interpreter.invoke()
            for detail in interpreter.get_output_details():
                interpreter.get_tensor(detail["index"])

    interpreter: Any = Interpreter(model_content=model.read_bytes(), num_threads=1)
    call()
    free = [detail for detail in interpreter.get_input_details() if -1 in list(detail["shape_signature"])]
    for detail in free:
        sizes = [1 if size == -1 else int(size) for size in detail["shape_signature"]]
        if detail["shape_signature"][-1] == -1:
            sizes[-1] = samples
        interpreter.resize_tensor_input(detail["index"], sizes, strict=True)
    if free:
        call()


def main(model: str, samples: str, cpu_s: str, memory_bytes: str, answer: str) -> None:
    """Try a model and write down how it went."""
    sys.path.pop(0)  # this folder, whose modules have common names
    try:
        run(Path(model), int(samples), int(cpu_s), int(memory_bytes))
        said = "ok"
    except (ValueError, RuntimeError, MemoryError) as error:
        said = f"{type(error).__name__}: {error}"
    Path(answer).write_text(said, encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    main(*sys.argv[1:])
