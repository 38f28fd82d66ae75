"""Names that users type and several modules check, in one place that is quick to import: choices of options, keys of
tables.

The values belong to the modules named beside them; tests hold that each of those has just these keys.
"""

from __future__ import annotations

from hearlite.spec import STUDENTS

SIZES = tuple(STUDENTS)
FRAMINGS = ("context", "zero-pad")  # data/dataset.py: what surrounds an event shorter than 2 s
CLASSIFIERS = ("logistic", "svm", "forest", "boosting", "mlp")  # benchmarks/probes/classifiers.py
PLATFORMS = ("android", "ios", "flutter", "react-native", "web", "python")  # export/package.py
RUNTIMES = ("litert", "tf")  # tflite/interpreter.py; tflite-runtime 2.14 has a Python of its own
REFERENCE_SHAPES = (  # benchmarks/cost/reference_models.py
    "hear-shape",
    "hear-s-shape",
    "frill-shape",
    "efficientat-mn04-shape",
    "efficientat-mn10-shape",
)
