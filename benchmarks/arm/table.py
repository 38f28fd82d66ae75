"""results.json of the emulated ARM benchmark as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hearlite.benchmarks.arm.classes import CLASSES
from hearlite.benchmarks.arm.halves import NETWORK, SPECTROGRAM
from hearlite.benchmarks.arm.parity import EXTREMES, NOISES

_TITLES = (
    "file",
    "core",
    "instructions per call",
    "of them the network, M",
    *(f"{name}, M" for name in CLASSES),
    "Mcycles",
    "ms per call",
    "ms per second of audio",
    "parity of the network",
    "of the spectrogram",
    "of the whole file",
)


def table(results: Mapping[str, Any]) -> str:
    """One row a file and processor. Cycles and times carry their label in the heading and in the note below."""
    label = results["label"]
    titles = [f"{title} ({label})" if title.startswith(("Mcycles", "ms ")) else title for title in _TITLES]
    lines = [f"| {' | '.join(titles)} |", f"|{len(titles) * '---|'}"]
    cores = {core["name"]: core for core in results["cores"]}
    for file in results["files"]:
        lines += [_row(file, on, cores[on["core"]]) for on in file["cores"]]
        blanks = ["" for _ in titles[3:]]
        lines.append(f"| {' | '.join([file['name'], 'x86-64 with AVX2', _exact(file['x86']), *blanks])} |")
    return "\n".join([*lines, "", *_notes(results, cores)]) + "\n"


def _row(file: Mapping[str, Any], on: Mapping[str, Any], core: Mapping[str, Any]) -> str:
    millions = [f"{on['by_class'][name] / 1e6:.2f}" for name in CLASSES]
    cycles, ms, audio_s = on["cycles"], on["ms"], file["audio_s"]
    a_second = _range(ms["low"] / audio_s, ms["high"] / audio_s) if audio_s else ""
    times = [_range(cycles["low"] / 1e6, cycles["high"] / 1e6), _range(ms["low"], ms["high"]), a_second]
    parts = {part["part"]: part for part in on["parts"]}
    network = f"{parts[NETWORK]['instructions'] / 1e6:.2f}" if parts else ""
    parity = [worst(part["parity"]["inputs"]) if part else "" for part in (parts.get(NETWORK), parts.get(SPECTROGRAM), on)]
    return f"| {' | '.join([file['name'], core['title'], _exact(on), network, *millions, *times, *parity])} |"


def _exact(counted: Mapping[str, Any]) -> str:
    return f"{counted['instructions']:,}" + ("" if counted["repeatable"] else " (not repeatable)")


def _range(low: float, high: float) -> str:
    return f"{low:.2f} - {high:.2f}"


def worst(inputs: Sequence[Mapping[str, Any]]) -> str:
    """The largest difference of some of the inputs, and whether it is allowed."""
    if all(item["equal"] and item["passed"] for item in inputs):
        return "equal bits"
    known = [item["difference"] for item in inputs if item["difference"] is not None]
    text = f"{max(known):.1e}" if len(known) == len(inputs) else "not comparable"
    return text if all(item["passed"] for item in inputs) else f"**failed: {text}**"


def _notes(results: Mapping[str, Any], cores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    versions = results["versions"]
    clocks = ", ".join(f"{core['title']} {core['nominal_ghz']:g} GHz ({core['clock_of']}; {core['llvm_cpu']} in LLVM)" for core in cores.values())
    return [
        f"Instructions are counted exactly, under QEMU {versions['qemu']}; LiteRT {versions['litert']}, one thread. "
        f"Cycles and milliseconds are {results['label']}: LLVM {versions['llvm']}'s pipeline models without caches, memory and heat, "
        f"at nominal clocks: {clocks}. Parity is against this machine's own run: the largest difference over the largest output, or over 1 "
        f"where that is less, on {', '.join((*NOISES, *EXTREMES))}; the network alone is given this machine's images. "
        "The emulator's time is not looked at.",
    ]
