"""Files in tflite-runtime 2.14, the runtime of older phones, which runs in a Python of its own
(benchmarks/cost/legacy_runtime.py).
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

_SCRIPT = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter

interpreter = Interpreter(sys.argv[1])
interpreter.allocate_tensors()
(given,), outputs = interpreter.get_input_details(), interpreter.get_output_details()
rows = []
for row in np.load(sys.argv[2], allow_pickle=False):
    interpreter.set_tensor(given["index"], row.reshape(given["shape"]))
    interpreter.invoke()
    rows.append([interpreter.get_tensor(output["index"])[0] for output in outputs])
np.savez(sys.argv[3], *(np.stack(values) for values in zip(*rows)))
"""


def run_legacy(python: Path, model: bytes, rows: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Each output `[n, ...]` of a .tflite for inputs `[n, ...]`, in the file's order."""
    with TemporaryDirectory() as place:
        file, given, found = (Path(place) / name for name in ("model.tflite", "given.npy", "found.npz"))
        file.write_bytes(model)
        np.save(given, rows, allow_pickle=False)
        done = subprocess.run(
            [python, "-c", _SCRIPT, file, given, found], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        with np.load(found, allow_pickle=False) as arrays:
            return [arrays[name] for name in arrays.files]
