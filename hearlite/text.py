"""Text from outside, such as file names, licences and labels, where people read it: terminals, Markdown, NOTICE files.

Nobody promised that such text is one line, or that it leaves the cursor where it was. HTML is escaped by Jinja.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

# Controls, surrogates, line separators and formats, which include the marks that reverse the order of text. The two
# joiners are formats as well, but names in Persian and Hindi, and emoji, need them.
_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp", "Cf"})
_JOINERS = "\u200c\u200d"
# What has a meaning inside a line of Markdown (CommonMark, and tables, strikethrough and mathematics of GitHub).
# An underscore inside a word has none.
_MARKS = re.compile(r"([\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
_FIRST_MARKS = re.compile(r"^(\d{1,9}(?=[.)])|(?=[-+#=>]))")  # at the start of a line: lists, headings, quotes
_CODE = str.maketrans({"`": "'", "|": "/"})


def printable(text: str) -> str:
    """Escape what a terminal would obey instead of show, such as line breaks and colours, as Python's repr does."""
    return "".join(
        character.encode("unicode_escape").decode("ascii") if _hidden(character) else character for character in text
    )


def one_line(text: str) -> str:
    """Return text as one line: white space becomes one space, and other characters that nobody sees are escaped."""
    return printable(" ".join(text.split()))


def brief(error: object) -> str:
    """Return what an exception says, or another program, on one line and cut to 300 characters, for a message."""
    return " ".join(str(error).split())[:300]


def listed(items: Sequence[str], most: int, *, between: str = ", ", rest: str = " and {} more") -> str:
    """Return the first `most` items of a list, and how many more there are."""
    return between.join(items[:most]) + (rest.format(len(items) - most) if len(items) > most else "")


def markdown(text: str) -> str:
    """Return text as one line that Markdown shows as it is, without markup, links or HTML."""
    line = _MARKS.sub(r"\\\1", one_line(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _FIRST_MARKS.sub(lambda found: f"{found[1]}\\", line)


def code(text: str) -> str:
    """Return text as one line for a code span of Markdown, between two backticks, which no escape can hold."""
    return one_line(text).translate(_CODE)


def _hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS
