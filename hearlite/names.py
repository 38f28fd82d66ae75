"""Names that users type and several modules check, in one module that is quick to import.

These are choices of options and keys of tables. The comment behind each names the module that defines them; tests
ensure that it has exactly these keys.
"""

from __future__ import annotations

from hearlite.spec import STUDENTS

SIZES = tuple(STUDENTS)
FRAMINGS = ("context", "zero-pad")  # data/dataset.py: what surrounds an event shorter than 2 s
CLASSIFIERS = ("logistic", "svm", "forest", "boosting", "mlp")  # benchmarks/probes/classifiers.py
PLATFORMS = ("android", "ios", "flutter", "react-native", "web", "python")  # export/package.py
COORDINATES = ("student", "teacher")  # export/tflite.py: of an embedding
FORMATS = ("tflite", "onnx")  # cli/export.py: of files
STEP_OUTPUTS = ("scores", "embedding")  # tflite/steps.py: what can be had over time
RUNTIMES = ("litert", "tf")  # tflite/interpreter.py; tflite-runtime 2.14 runs in a Python environment of its own
REFERENCE_SHAPES = (  # benchmarks/cost/reference_models.py
    "hear-shape",
    "hear-s-shape",
    "frill-shape",
    "efficientat-mn04-shape",
    "efficientat-mn10-shape",
)
