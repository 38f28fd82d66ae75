"""LiteRT's C library for two processors, out of its wheels, fetched by this Python's own pip so that the user's index settings hold."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError, UsageError
from hearlite.files import replacing, sha256_of, write_bytes

LITERT_VERSION = "2.3.0"  # the first whose C API is runner.c's on both processors and whose int8 kernels use SDOT; 2.0 to 2.1 differ
LIBRARY = "ai_edge_litert/libLiteRt.so"  # alone: libLiteRtWebGpuAccelerator.so beside it is loaded too and dies of SIGILL on ARMv8.0 (LSE atomics)
_MAX_LIBRARY_BYTES = 1 << 26  # it has 6 MB
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Wheel:
    """A wheel of ai-edge-litert by its platform tag and content. Which Python it is for does not matter: no Python runs it."""

    platform: str
    sha256: str  # as the package index lists it

    @property
    def file_name(self) -> str:
        return f"ai_edge_litert-{LITERT_VERSION}-cp311-cp311-{self.platform}.whl"


WHEELS = {
    "aarch64": Wheel("manylinux_2_27_aarch64", "853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae"),
    "x86_64": Wheel("manylinux_2_27_x86_64", "1f15078a6725d2357d9de9221664c29afa0545d807559c5f7199ce5e40b96b23"),
}


def fetch_wheel(wheel: Wheel, downloads: Path) -> Path:
    """The wheel's path below `downloads`; one that is there and right is kept. Raises UsageError without pip, InputError for what pip says."""
    target = downloads / wheel.file_name
    if target.is_file() and sha256_of(target) == wheel.sha256:
        return target
    with tempfile.TemporaryDirectory(dir=downloads, prefix=".pip.") as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text(f"ai-edge-litert=={LITERT_VERSION} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
        chosen = ["--platform", wheel.platform, "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", *chosen]
        command = [*pip, "--dest", folder, "--requirement", str(pinned)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise InputError(f"pip did not fetch {wheel.file_name} in {_TIMEOUT_S} s", "run the command again: what has come is kept") from error
        if "No module named pip" in done.stderr:
            raise UsageError(f"{sys.executable} has no pip, which fetches LiteRT's library", "run: python -m ensurepip")
        fetched = Path(folder) / wheel.file_name
        if done.returncode or not fetched.is_file():
            raise InputError(f"pip did not fetch {wheel.file_name}: {' '.join(done.stderr.split())[-300:]}", "run the command again")
        if sha256_of(fetched) != wheel.sha256:
            raise InputError(f"{wheel.file_name}: its sha256 is not {wheel.sha256}", "the package index offers another file under this name")
        with replacing(target) as temporary:
            fetched.replace(temporary)
    return target


def unpack_library(wheel: Path, target: Path) -> None:
    """Write the wheel's libLiteRt.so, and nothing else of it, to `target`. Raises InputError for a wheel without one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(LIBRARY).file_size > _MAX_LIBRARY_BYTES:
                raise InputError(f"{wheel.name}: its {LIBRARY} has more than {_MAX_LIBRARY_BYTES} bytes", "it is not the wheel that is needed")
            write_bytes(target, archive.read(LIBRARY))
    except (KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{wheel.name}: {error}", "run the command again") from error
