"""A manifest, damaged in the ways in which people and spreadsheets write tables."""

from __future__ import annotations

from hearlite.benchmarks.experiments.fuzz.mutators import Rng, damage

_ROWS = (
    ("file", "start_s", "end_s", "subject", "split", "label"),
    ("a.wav", "0", "0.5", "s1", "train", "cough"),
    ("a.wav", "0.5", "1.25", "s1", "train", "no"),
    ("b.wav", "0.25", "0.75", "s2", "val", "cough"),
    ("b.wav", "", "", "s2", "val", "no"),
    ("c.wav", "0", "1", "s3", "test", "no"),
)
RECORDINGS = ("a.wav", "b.wav", "c.wav")
_CELLS = (
    *("", " ", "nan", "NA", "None", "inf", "-inf", "1e308", "-1", "0", "9" * 400, "0,5", "true", "=1+1", "1.0", "1"),
    *("../../etc/passwd", "/etc/passwd", "C:\\x", "a\x00b", "\x1b[31mred", "é", "e\u0301", "\u202eabc", "\ud800"),
    *("😀", "<script>", '"', "'", "a;b", "a\tb", "a\nb", "\ufeff", "file", "subject", "a" * 5_000),
)
OPTIONS: tuple[list[str], ...] = (
    *([], [], ["--column", "subject=label"], ["--column", "file=label"], ["--time-unit", "ms"]),
    *(["--audio-root", "."], ["--missing", "cough"], ["--no-missing-words"], ["--metadata", "manifest.csv"]),
)


def damaged_table(rng: Rng) -> bytes:
    """Return a CSV in some dialect and encoding with up to four changes."""
    table = [list(row) for row in _ROWS]
    for _ in range(int(rng.integers(0, 5))):
        row = table[int(rng.integers(len(table)))]
        kind = int(rng.integers(6))
        if kind == 0:
            table.append(list(row))
        elif kind == 1:
            table.insert(int(rng.integers(len(table) + 1)), [])
        elif kind == 2:
            row.append(_cell(rng))
        elif row:
            row[int(rng.integers(len(row)))] = _cell(rng)
    delimiter = str(rng.choice([*",,,,,;;\t\t|", " "]))
    quote = str(rng.choice([*4 * [""], *4 * ['"'], "'"]))
    end = str(rng.choice([*4 * ["\n"], *4 * ["\r\n"], "\r"]))
    text = end.join(delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in table) + end
    encoding = str(rng.choice([*4 * ["utf-8"], "utf-8-sig", "utf-16", "latin-1"]))
    content = text.encode(encoding, errors="replace")
    return damage(content, rng) if rng.random() < 0.2 else content


def _cell(rng: Rng) -> str:
    return _CELLS[int(rng.integers(len(_CELLS)))]
