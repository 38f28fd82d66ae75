"""Read CSV tables as spreadsheets and other programs write them.

Delimiter, byte order mark, Excel's `sep=` line, decimal commas, blank lines and trailing empty columns are recognized
from the file. Nothing is guessed that could change a value: an encoding other than UTF-8 or UTF-16, a row of another
length than the header, or a control character is an error.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError

SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}  # the first of those that fit is taken
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;\t|]*\s*', re.IGNORECASE)  # Excel's way to state the delimiter
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # all of ASCII's but tab and line ends
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Table:
    """A CSV file of which the header has been read."""

    path: Path
    columns: tuple[str, ...]  # "" for a column without a name
    delimiter: str
    encoding: str
    header_line: int  # 1, or 2 below a `sep=` line

    def rows(self, wanted: Sequence[str], *, verbatim: Container[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
        """Read the rows one by one; blank ones are skipped.

        Parameters
        ----------
        wanted : sequence of str
            Columns to return.
        verbatim : container of str
            Columns of names, in which "1,5" is not a number.

        Yields
        ------
        tuple of int and dict
            The line on which the row ends (the first line is 1), and its cells by column, stripped. Where the delimiter
            is not a comma, a decimal comma becomes a point.

        Raises
        ------
        InputError
            When a wanted column is missing or there twice, or a row has more or fewer cells than the header or holds a
            control character.
        """
        for column in wanted:
            if self.columns.count(column) != 1:
                wrong = "is there twice" if column in self.columns else "is missing"
                raise InputError(f"{self.path}: column {column!r} {wrong}", f"its columns: {', '.join(self.columns)}")
        places = [
            (self.columns.index(column), column, column in verbatim or self.delimiter == ",") for column in wanted
        ]
        with _reading(self.path), self.path.open(encoding=self.encoding, newline="") as stream:
            for _ in range(self.header_line - 1):
                stream.readline()
            reader = csv.reader(stream, delimiter=self.delimiter, strict=True)
            next(reader)
            for cells in reader:
                if not any(map(str.strip, cells)):
                    continue
                line = reader.line_num + self.header_line - 1
                if len(cells) != len(self.columns):
                    self._check_width(cells, line)
                yield line, {column: self._value(cells[at], column, line, as_is) for at, column, as_is in places}

    def _value(self, cell: str, column: str, line: int, as_is: bool) -> str:
        if cell.isalnum():  # most cells
            return cell
        value = cell.strip()
        if _CONTROL.search(value):
            where = f"{self.path}, row {line}"
            raise InputError(f"{where}: {column} is {value!r}, which holds a control character", "remove it")
        return value.replace(",", ".") if not as_is and _DECIMAL_COMMA.fullmatch(value) else value

    def _check_width(self, cells: list[str], line: int) -> None:
        width = len(self.columns)
        if len(cells) > width and not any(map(str.strip, cells[width:])):
            return
        name = DELIMITERS.get(self.delimiter, f"{self.delimiter!r}")
        hint = f"quote values that hold a {name}" if len(cells) > width else f"an empty cell needs its {name} too"
        raise InputError(f"{self.path}, row {line}: {len(cells)} cells, but its first line names {width} columns", hint)


def open_table(path: Path, *, is_header: Callable[[Sequence[str]], bool]) -> Table:
    """Read the header of a CSV file.

    Parameters
    ----------
    path : Path
        The file.
    is_header : callable
        Whether a list of columns is the header of such a table, which tells the delimiter. If no delimiter gives one,
        that with most columns is taken.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        When the file is missing, not a regular file, empty, or not a CSV in UTF-8 or UTF-16.
    """
    if not path.is_file():
        raise InputError(f"{path}: {'not a regular file' if path.exists() else 'no such file'}", "name a CSV file")
    with _reading(path):
        with path.open("rb") as binary:
            head = binary.read(3)
        encoding = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")
        with path.open(encoding=encoding, newline="") as stream:
            sep = _SEP_LINE.fullmatch(stream.readline())
            header = stream.readline() if sep else ""
        line = 2 if header else 1
        headers = {one: _header(path, encoding, line, one) for one in ([sep[1]] if sep else DELIMITERS)}
    delimiter = next(
        (one for one, columns in headers.items() if is_header(columns)),
        max(headers, key=lambda one: len(headers[one])),
    )
    if not headers[delimiter]:
        raise InputError(f"{path}: its first line holds no names of columns", "expected 'file' and others there")
    return Table(path, headers[delimiter], delimiter, encoding, line)


def _header(path: Path, encoding: str, line: int, delimiter: str) -> tuple[str, ...]:
    """Return the names in the header, without empty ones at its end; () if it cannot be parsed."""
    with path.open(encoding=encoding, newline="") as stream:
        for _ in range(line - 1):
            stream.readline()
        try:
            cells = next(csv.reader(stream, delimiter=delimiter, strict=True), [])
        except csv.Error:
            return ()
    columns = [_SPACE.sub(" ", cell.strip()) for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    return tuple(columns)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}", "name a CSV file that can be read") from error
    except UnicodeError as error:
        raise InputError(f"{path}: not UTF-8: {error}", "save it as UTF-8; spreadsheets call it 'CSV UTF-8'") from error
    except csv.Error as error:
        raise InputError(f"{path}: not a CSV: {error}", "save it again, as comma-separated UTF-8") from error
