"""One family of errors for users: what was wrong, the value, what is allowed, and what to do. The CLI never shows a
traceback for one.
"""

from __future__ import annotations


class HearliteError(Exception):
    """A user's error: `message` says what was wrong with which value, `hint` what to do about it."""

    exit_code = 3  # bad input

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(HearliteError):
    """Options that contradict each other or name nothing that exists."""

    exit_code = 2


class InputError(HearliteError):
    """A file, manifest, model or recording that can't be used."""

    exit_code = 3


class GateError(HearliteError):
    """A quality gate failed: the output exists only where the command says so."""

    exit_code = 4


class MissingExtraError(HearliteError):
    """An optional dependency is not installed."""

    exit_code = 5

    def __init__(self, what: str, package: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the package '{package}', which is not installed", f'run: pip install "hearlite[{extra}]"'
        )
