"""Run an .onnx with onnxruntime, on one thread or several."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hearlite.errors import InputError, MissingExtraError


class OnnxModel:
    """An .onnx that was opened.

    Parameters
    ----------
    content : bytes
        The file. It may not refer to others.
    threads : int
        Number of CPU threads.
    label : str
        Name for messages.

    Raises
    ------
    InputError
        When onnxruntime can't open it.
    MissingExtraError
        When onnxruntime is not installed.
    """

    def __init__(self, content: bytes, *, threads: int = 1, label: str = "the .onnx") -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise MissingExtraError("ONNX", "onnxruntime", "onnx") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors alone
        # Without it, products of uint8 and int8 saturate on x86 processors without VNNI.
        options.add_session_config_entry("session.x64quantprecision", "1")
        self.label = label
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common class but Exception
            raise InputError(f"{label}: onnxruntime can't open it: {str(error)[:300]}") from error
        self.inputs = {item.name: tuple(item.shape) for item in self._session.get_inputs()}
        self.outputs = {item.name: tuple(item.shape) for item in self._session.get_outputs()}
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, array: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Return the outputs by name for the one input.

        Raises
        ------
        InputError
            When the file has several inputs, or fails.
        """
        if len(self.inputs) != 1:
            raise InputError(f"{self.label} has the inputs {', '.join(self.inputs)}", "expected one")
        try:
            found = self._session.run(None, {next(iter(self.inputs)): array})
        except Exception as error:  # as above
            raise InputError(f"{self.label}: onnxruntime can't run it: {str(error)[:300]}") from error
        return dict(zip(self.outputs, found, strict=True))
