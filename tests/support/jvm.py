"""Run android_harness/jvm_test.sh from a test: compile the Kotlin core and test it on the JVM."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

HARNESS = Path(__file__).parent.parent.parent / "android_harness"
SCRIPT = HARNESS / "jvm_test.sh"
MISSING = 77  # the script's exit code when a tool is missing
TIMEOUT_S = 1_800  # compiling takes minutes on a busy machine
Done = subprocess.CompletedProcess[str]


def run_script(*arguments: object, **environment: str) -> Done:
    """Run the script with this Python's LiteRT library.

    Parameters
    ----------
    *arguments : object
        Its arguments, converted to text.
    **environment : str
        Further environment variables.

    Returns
    -------
    subprocess.CompletedProcess
        Exit code, stdout and stderr.
    """
    spec = importlib.util.find_spec("ai_edge_litert")
    assert spec is not None and spec.submodule_search_locations
    variables = {"HEARLITE_LITERT": spec.submodule_search_locations[0], **os.environ, **environment}
    return subprocess.run(
        [str(SCRIPT), *map(str, arguments)],
        env=variables,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
