"""The entry point of the command line: the group of commands, and the handling of errors.

Exit codes: 0 ok, 1 a bug, 2 usage, 3 bad input, 4 a quality gate failed, 5 a missing extra, 129, 130 or 143 interrupted
by SIGHUP, SIGINT or SIGTERM. Nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence

import click

from hearlite import __version__
from hearlite.cli.bench import bench, report
from hearlite.cli.cost import cost
from hearlite.cli.demo import demo
from hearlite.cli.distill import distill, quickstart
from hearlite.cli.export import adapt_head, export, onnx
from hearlite.cli.inspect import check, completion, doctor, get, info, models
from hearlite.cli.lazy import SectionedGroup, arm, enroll, listen, study
from hearlite.cli.options import echo
from hearlite.cli.quantize import quantize
from hearlite.cli.recordings import embed, import_
from hearlite.cli.signals import INTERRUPTED, Signals, handled
from hearlite.errors import HearliteError, MissingExtraError
from hearlite.writing import HINTS

BUG_EXIT = 1
EXTRAS = {"tensorflow": "train", "tf_keras": "train", "tensorflow_model_optimization": "train", "ray": "cluster"}


SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Make a model": (quickstart, distill, quantize, export, adapt_head, onnx),
    "Use a model": (models, get, listen, enroll, embed, demo, info, check),
    "Measure": (bench, cost, arm, study, report),
    "Data and installation": (import_, doctor, completion),
}


@click.group(
    cls=SectionedGroup,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 done, 1 a bug, 2 usage, 3 bad input, 4 a quality gate failed, 5 a missing extra, 129, 130"
        " or 143 interrupted by SIGHUP, SIGINT or SIGTERM."
    ),
)
@click.version_option(__version__, prog_name="hearlite")
def cli() -> None:
    """Make health-acoustic encoders such as Google's HeAR small enough for a phone.

    Distill a student from recordings, quantize and export it, and measure what it retains. A research tool, never a
    diagnostic.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, turning errors into messages and exit codes.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments without the program's name; by default those of this process.

    Raises
    ------
    SystemExit
        With the exit code, unless the command succeeds.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # silences TensorFlow's C++ log; only before it is imported
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # tensorflow-model-optimization needs Keras 2
    with handled() as signals:
        _run(arguments, signals)


def _run(arguments: Sequence[str] | None, signals: Signals) -> None:
    try:
        cli.main(args=arguments, prog_name="hearlite", standalone_mode=False)
        if signals.received not in (0, signal.SIGINT):  # Ctrl-C is how to end a server
            sys.exit(signals.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _fail(INTERRUPTED, "", signals.exit_code)
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        for line in said.getvalue().splitlines():
            echo(line)
        sys.exit(error.exit_code)
    except HearliteError as error:
        if signals.received:
            _fail(INTERRUPTED, "", signals.exit_code)
        _fail(error.message, error.hint, error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of the output has closed the pipe, which is not an error
        sys.exit(0)
    except OSError as error:
        if signals.received:
            _fail(INTERRUPTED, "", signals.exit_code)
        place = f"{error.filename}: " if error.filename else ""
        _fail(
            f"{place}{error.strerror or error}",
            HINTS.get(error.errno or 0, "check that the path exists and may be read and written"),
            3,
        )
    except UnicodeEncodeError as error:
        _fail(f"a file name can't be written as UTF-8: {error.object!r}", "rename it", 3)
    except Exception as error:
        if signals.received:  # TensorFlow, for one, turns a KeyboardInterrupt in its tracing into other errors
            _fail(INTERRUPTED, "", signals.exit_code)
        package = (
            (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        )
        if package in EXTRAS:
            missing = MissingExtraError("this command", package.replace("_", "-"), EXTRAS[package])
            _fail(missing.message, missing.hint, missing.exit_code)
        if os.environ.get("HEARLITE_DEBUG"):
            raise
        _fail(
            f"this is a bug in hearlite: {type(error).__name__}: {error}",
            "set HEARLITE_DEBUG=1 for the traceback and report it",
            BUG_EXIT,
        )


def _fail(message: str, hint: str, code: int) -> None:
    echo(f"error: {message}")
    if hint:
        echo(f"  {hint}")
    sys.exit(code)
