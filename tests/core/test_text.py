"""Text from outside stays text: on a terminal, in Markdown, in NOTICE files and in code."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from hearlite.cli.main import main
from hearlite.cli.options import echo, print_data
from hearlite.text import code, markdown, one_line, printable

HOSTILE = "x\x1b[2J\x9b31m\x07\u202etxt\u2028y"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cough 咳 é 🧑\u200d⚕️ ة", "cough 咳 é 🧑\u200d⚕️ ة"),  # what people write, with its joiners
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
        ("\x9b2J", "\\x9b2J"),  # the one-byte form of escape [
        ("\u202egpj.exe\u2066", "\\u202egpj.exe\\u2066"),
        ("a\u2028b\u2029c\ufeff", "a\\u2028b\\u2029c\\ufeff"),
        ("\udcff\U000e0041", "\\udcff\\U000e0041"),  # a byte that is not UTF-8, and an invisible tag
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Apache-2.0", "Apache-2.0"),
        ("CC BY-NC 4.0 & others", "CC BY-NC 4.0 &amp; others"),
        ("a\n\n# b", "a # b"),
        ("# heading", "\\# heading"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("> quote", "&gt; quote"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[click](https://x)", "\\[click\\](https://x)"),
        ("![i](j)", "!\\[i\\](j)"),
        ("hearlite_tiny_2s", "hearlite_tiny_2s"),
        ("a | b", "a \\| b"),
        ("*b* _i_ `c` ~s~ $m$ \\", "\\*b\\* \\_i\\_ \\`c\\` \\~s\\~ \\$m\\$ \\\\"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str) -> None:
    assert markdown(text) == shown


def test_lines_stay_lines_and_code_stays_code() -> None:
    assert one_line(" a \n\r\n b\t c ") == "a b c"
    assert code("a`b\n|c") == "a'b /c"


def test_the_command_line_shows_names_escaped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for arguments in (
        ["info", f"{HOSTILE}.tflite"],
        ["info", HOSTILE],
        ["get", HOSTILE],
        ["get", f"https://{HOSTILE}/a.zip"],
        ["export", f"{HOSTILE}.tflite", "--out", str(tmp_path)],
        ["embed", HOSTILE, "--out", "x.parquet"],
        [f"\x1b[31m{HOSTILE}"],
        ["bench", "--model", "x.tflite", "--out", "y", "--framing", HOSTILE],
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code in (2, 3)
        said = capsys.readouterr().err
        assert "\\x1b[2J" in said
        assert not [c for c in said.replace("\n", "") if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]


def test_tables_and_messages_show_names_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    for data in ([{"file": HOSTILE, HOSTILE: 1}], {"file": HOSTILE, "all": [HOSTILE, HOSTILE], "nested": {HOSTILE: 1}}):
        print_data(data, as_json=False)
    echo(HOSTILE)
    said = "".join(capsys.readouterr())
    assert said.count("1b[2J") == 7
    assert "\x1b" not in said and "\u202e" not in said and "\x9b" not in said
