"""Format the results.json of the emulated ARM benchmark as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hearlite.benchmarks.arm.instruction_mix import CLASSES
from hearlite.benchmarks.arm.parity import EXTREMES, NOISES
from hearlite.benchmarks.arm.split_model import NETWORK, SPECTROGRAM

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
    """Return a Markdown table with a row for each file and processor, and notes below it.

    `results` is the content of results.json. Cycles and times carry their label ("estimated, no device") in the heading
    and in the notes.
    """
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
    millions = [f"{on['by_class'][name] / 1e6:.2f}" if on["by_class"] else "" for name in CLASSES]
    times = [_range(on["cycles"], 1e6), _range(on["ms"], 1.0), _range(on["ms"], file["audio_s"])]
    parts = {part["part"]: part for part in on["parts"]}
    network = f"{parts[NETWORK]['instructions'] / 1e6:.2f}" if parts else ""
    parity = [
        worst(part["parity"]["inputs"]) if part else "" for part in (parts.get(NETWORK), parts.get(SPECTROGRAM), on)
    ]
    if on.get("beside_litert") is not None:
        parity[-1] += f" ({on['beside_litert']:.1e} to LiteRT)"
    return f"| {' | '.join([file['name'], core['title'], _exact(on), network, *millions, *times, *parity])} |"


def _exact(counted: Mapping[str, Any]) -> str:
    return f"{counted['instructions']:,}" + ("" if counted["repeatable"] else " (not repeatable)")


def _range(of: Mapping[str, float] | None, unit: float | None) -> str:
    return f"{of['low'] / unit:.2f} - {of['high'] / unit:.2f}" if of and unit else ""


def worst(inputs: Sequence[Mapping[str, Any]]) -> str:
    """Summarize the parity of some inputs: equal bits, or the largest difference and whether it failed.

    `inputs` are items of the parity in results.json.
    """
    if all(item["equal"] and item["passed"] for item in inputs):
        return "equal bits"
    known = [item["difference"] for item in inputs if item["difference"] is not None]
    text = f"{max(known):.1e}" if len(known) == len(inputs) else "not comparable"
    return text if all(item["passed"] for item in inputs) else f"**failed: {text}**"


def _notes(results: Mapping[str, Any], cores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    versions = results["versions"]
    modelled, unmodelled = [
        [core for core in cores.values() if bool(core["llvm_cpu"]) is there] for there in (True, False)
    ]
    clocks = ", ".join(
        f"{core['title']} {core['nominal_ghz']:g} GHz ({core['clock_of']}; {core['llvm_cpu']} in LLVM)"
        for core in modelled
    )
    estimated = (
        f"Cycles and milliseconds are {results['label']}: LLVM {versions['llvm']}'s pipeline models without caches,"
        f" memory and heat, at nominal clocks: {clocks}. "
    )
    notes = [
        f"Instructions are counted exactly, under QEMU {versions['qemu']}; LiteRT {versions['litert']}, one thread."
        f" {estimated if modelled else ''}Parity is against this machine's own run: the largest difference over the"
        f" largest output, or over 1 where that is less, on {', '.join((*NOISES, *EXTREMES))}; the network alone is"
        " given this machine's images. The emulator's time is not looked at."
    ]
    notes += [
        f"{core['title']} ({core['clock_of']}) is 32-bit, which LiteRT has no wheel for: tflite-runtime"
        f" {versions['tflite_runtime']} runs there, without XNNPACK. Parity is against that one on this machine, and"
        " how far it is from LiteRT stands beside: int8 convolutions round the half of a negative step otherwise than"
        " on x86, by one step. Some 7,000 instructions of a call are Python's. Classes and cycles are not given: the"
        " code mixes two instruction sets, which the counter does not tell apart, and LLVM has no scheduling model of"
        " the core."
        for core in unmodelled
    ]
    return ["\n\n".join(notes)]
