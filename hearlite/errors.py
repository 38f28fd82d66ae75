"""The exceptions that hearlite raises for mistakes a user can fix.

Each message names the problem and the value, its hint the allowed values or the remedy. The command line shows both
without a traceback and exits with the class's `exit_code`.
"""

from __future__ import annotations


class HearliteError(Exception):
    """Base class of errors that a user can fix.

    Attributes
    ----------
    message : str
        The problem and the value that caused it.
    hint : str
        What to do about it; may be empty.
    exit_code : int
        Exit status of the command line.
    """

    exit_code = 3  # bad input

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(HearliteError):
    """Arguments that are out of range, contradict each other or name nothing that exists."""

    exit_code = 2


class InputError(HearliteError):
    """A file, manifest, model or recording that cannot be used."""

    exit_code = 3


class GateError(HearliteError):
    """A quality gate or self-test failed; output was written only where `allow_failed_gate` asked for it."""

    exit_code = 4


class MissingExtraError(HearliteError):
    """An optional dependency is not installed; the hint is the pip command that installs it."""

    exit_code = 5

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package '{package}', which is not installed", f'run: pip install "hearlite[{extra}]"'
        )
