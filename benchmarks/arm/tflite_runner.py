"""Run a .tflite file with one float32 input in tflite-runtime.

What runner.c does in LiteRT, for a processor that LiteRT has no library for.

    python runner.py MODEL INPUTS OUTPUTS WINDOWS

This runs in the box's own Python, never in hearlite's. It asks for TFLite's built-in kernels: the wheel for armv7
applies no XNNPACK by itself, and that for x86-64, which it is compared with, would.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType

_MARK = 0x4845 << 32  # counter.c sees it
# Calls before the first that counts. CPython 3.11 rewrites code as it runs: invoke() is the same from its 13th call on,
# but for 168 instructions in the 19th and the 34th.
_BEFORE = 15


def _main(model: str, inputs: str, outputs: str, windows: int) -> None:
    interpreter = Interpreter(
        model, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    (taken,), given = interpreter.get_input_details(), [output["index"] for output in interpreter.get_output_details()]
    calls = 0
    with Path(inputs).open("rb") as source, Path(outputs).open("wb") as to:
        while _feed(interpreter, taken, source):
            interpreter.invoke()
            calls += 1
            for index in given:
                to.write(interpreter.get_tensor(index).tobytes())
        source.seek(0)
        _feed(interpreter, taken, source)
    gc.disable()
    nowhere = os.open(os.devnull, os.O_RDONLY)  # where every seek leads to 0, so that not even a new integer is made
    unseen = [(1, 2)] * (_BEFORE - calls if windows else 0)
    for opens, closes in (*unseen, *((_MARK + 2 * window + 1, _MARK + 2 * window + 2) for window in range(windows))):
        _call(interpreter, nowhere, opens, closes)
    rows = [interpreter.get_tensor(index) for index in given]
    print(json.dumps({"outputs": [{"type": int(row.dtype == np.float32), "bytes": row.nbytes} for row in rows]}))


def _feed(interpreter: Interpreter, tensor: dict[str, Any], source: BinaryIO) -> bool:
    """Read the next input; False at the end of the file."""
    values = np.fromfile(source, "<f4", int(np.prod(tensor["shape"])))
    if values.size:
        interpreter.set_tensor(tensor["index"], values.reshape(tensor["shape"]))
    return bool(values.size)


def _call(interpreter: Interpreter, file: int, opens: int, closes: int) -> None:
    """One call between two marks."""
    os.lseek(file, opens, os.SEEK_SET)
    interpreter.invoke()
    os.lseek(file, closes, os.SEEK_SET)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
