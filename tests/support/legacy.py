"""Run files in tflite-runtime 2.14, the runtime of older phones.

It runs in a Python of its own; see benchmarks/cost/legacy_runtime.py.
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
    """Run a .tflite file in tflite-runtime 2.14.

    Parameters
    ----------
    python : Path
        Python that has tflite-runtime.
    model : bytes
        Content of the file.
    rows : float32 array [n, ...]
        Inputs.

    Returns
    -------
    list of array [n, ...]
        Each output of the file, in its order.
    """
    with TemporaryDirectory() as place:
        file, inputs, outputs = (Path(place) / name for name in ("model.tflite", "inputs.npy", "outputs.npz"))
        file.write_bytes(model)
        np.save(inputs, rows, allow_pickle=False)
        done = subprocess.run(
            [python, "-c", _SCRIPT, file, inputs, outputs], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        with np.load(outputs, allow_pickle=False) as arrays:
            return [arrays[name] for name in arrays.files]
