"""Download the runtimes' wheels with this Python's own pip, so that the user's index settings apply.

x86-64 and arm64 get the C library of LiteRT. LiteRT has no wheel for armv7, which gets the last tflite-runtime that has
one; the same version for x86-64 serves as its reference.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from hearlite.errors import InputError, UsageError
from hearlite.files import sha256_of, write_bytes
from hearlite.writing import replacing

# The first version whose C API is the one in litert.h on both processors, and whose int8 kernels use SDOT; 2.0 to 2.1
# differ.
LITERT_VERSION = "2.3.0"
TFLITE_VERSION = "2.14.0"  # the last with a wheel for armv7l; it exports no C API, so it is run by Python
# Only this one: LiteRT also loads a libLiteRtWebGpuAccelerator.so beside it, which dies of SIGILL on ARMv8.0 (LSE
# atomics).
LIBRARY = "ai_edge_litert/libLiteRt.so"
_TFLITE = (
    "__init__.py",
    "interpreter.py",
    "metrics_interface.py",
    "metrics_portable.py",
    "_pywrap_tensorflow_interpreter_wrapper.so",
)
PACKAGES = "usr/lib/python3/dist-packages"  # the folder of numpy in Debian's Python
_MAX_MEMBER_BYTES = 1 << 26  # 64 MiB; the libraries have 5–7 MB
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Wheel:
    """A wheel for CPython 3.11, and the files that the sandbox takes from it.

    For LiteRT the Python version is irrelevant, since only its C library is used.
    """

    project: str
    version: str
    platform: str  # platform tag
    sha256: str  # from the package index
    members: tuple[str, ...]  # files to take
    folder: str  # folder of the sandbox's part to which they are written

    @property
    def file_name(self) -> str:
        """Return the wheel's file name."""
        return f"{self.project.replace('-', '_')}-{self.version}-cp311-cp311-{self.platform}.whl"


def _litert(triplet: str, platform: str, sha256: str) -> Wheel:
    return Wheel("ai-edge-litert", LITERT_VERSION, platform, sha256, (LIBRARY,), f"usr/lib/{triplet}")


def _tflite(platform: str, sha256: str) -> Wheel:
    members = tuple(f"tflite_runtime/{name}" for name in _TFLITE)
    return Wheel("tflite-runtime", TFLITE_VERSION, platform, sha256, members, f"{PACKAGES}/tflite_runtime")


WHEELS = {  # by the name of their part
    "aarch64": _litert(
        "aarch64-linux-gnu",
        "manylinux_2_27_aarch64",
        "853fc608f96da87bd5f3458465dfb9abbf18d5ae6b94eceacead407146f175ae",
    ),
    "x86_64": _litert(
        "x86_64-linux-gnu", "manylinux_2_27_x86_64", "1f15078a6725d2357d9de9221664c29afa0545d807559c5f7199ce5e40b96b23"
    ),
    "armv7": _tflite("manylinux_2_34_armv7l", "c4e66a74165b18089c86788400af19fa551768ac782d231a9beae2f6434f7949"),
    "x86_64-python": _tflite(
        "manylinux2014_x86_64", "195ab752e7e57329a68e54dd3dd5439fad888b9bff1be0f0dc042a3237a90e4d"
    ),
}


def fetch_wheel(wheel: Wheel, downloads: Path) -> Path:
    """Download a wheel with pip, unless it is there already.

    Parameters
    ----------
    wheel : Wheel
        The wheel.
    downloads : Path
        Folder to write to.

    Returns
    -------
    Path
        The wheel's file below `downloads`.

    Raises
    ------
    UsageError
        If this Python has no pip.
    InputError
        If pip fails or exceeds ten minutes, or the file has another hash.
    """
    target = downloads / wheel.file_name
    if target.is_file() and sha256_of(target) == wheel.sha256:
        return target
    with tempfile.TemporaryDirectory(dir=downloads, prefix=".pip.") as folder:
        pinned = Path(folder) / "requirements.txt"
        pinned.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
        chosen = ["--platform", wheel.platform, "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            *chosen,
        ]
        command = [*pip, "--dest", folder, "--requirement", str(pinned)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            raise InputError(
                f"pip did not fetch {wheel.file_name} in {_TIMEOUT_S} s",
                "run the command again: finished downloads are kept",
            ) from error
        if "No module named pip" in done.stderr:
            raise UsageError(
                f"{sys.executable} has no pip, which is needed to fetch {wheel.project}", "run: python -m ensurepip"
            )
        fetched = Path(folder) / wheel.file_name
        if done.returncode or not fetched.is_file():
            raise InputError(
                f"pip did not fetch {wheel.file_name}: {' '.join(done.stderr.split())[-300:]}", "run the command again"
            )
        if sha256_of(fetched) != wheel.sha256:
            raise InputError(
                f"{wheel.file_name}: its sha256 is not {wheel.sha256}",
                "the package index offers another file under this name",
            )
        with replacing(target) as temporary:
            fetched.replace(temporary)
    return target


def unpack_wheel(path: Path, wheel: Wheel, part: Path) -> None:
    """Unpack the files that the sandbox takes from a wheel, and nothing else.

    Parameters
    ----------
    path : Path
        File of the wheel.
    wheel : Wheel
        Its description, which lists the files.
    part : Path
        Folder of the sandbox's part.

    Raises
    ------
    InputError
        If the file isn't a wheel, or lacks one of the files, or one of them has more than 64 MiB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for member in wheel.members:
                if archive.getinfo(member).file_size > _MAX_MEMBER_BYTES:
                    raise InputError(
                        f"{path.name}: its {member} has more than {_MAX_MEMBER_BYTES} bytes",
                        "it is not the expected wheel: delete it and run the command again",
                    )
                write_bytes(part / wheel.folder / Path(member).name, archive.read(member))
    except (KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path.name}: {error}", "run the command again") from error
