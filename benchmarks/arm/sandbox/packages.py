"""List the Debian packages of the sandbox, the files kept from each, and the files that are hashed."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.arm.sandbox.toolchain import LLVM
from hearlite.benchmarks.arm.sandbox.wheels import PACKAGES

# Shared libraries that QEMU and LLVM load, directly or through one of these.
_QEMU_NEEDS = (
    "libcapstone4",
    "libglib2.0-0",
    "libgmp10",
    "libgnutls30",
    "libhogweed6",
    "libidn2-0",
    "libnettle8",
    "libnuma1",
    "libp11-kit0",
    "libpcre2-8-0",
    "libtasn1-6",
    "libunistring2",
    "liburing2",
)
_LLVM_NEEDS = (
    "libbsd0",
    "libedit2",
    "libffi8",
    "libicu72",
    "libllvm19",
    "liblzma5",
    "libmd0",
    "libtinfo6",
    "libxml2",
    "libz3-4",
    "libzstd1",
    "zlib1g",
)
_PYTHON = (  # with numpy, which tflite-runtime imports
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3-numpy",
    "libblas3",
    "libexpat1",
    "libffi8",
    "libgfortran5",
    "liblapack3",
    "zlib1g",
)
# Only the modules that importing numpy and tflite-runtime opens.
# fmt: off
_MODULES = (
    "__future__", "_collections_abc", "_compat_pickle", "_weakrefset", "abc", "ast", "base64", "bisect", "codecs", "contextlib",
    "contextvars", "copyreg", "datetime", "dis", "enum", "fnmatch", "functools", "genericpath", "hashlib", "hmac", "inspect", "io",
    "ipaddress", "keyword", "linecache", "ntpath", "numbers", "opcode", "operator", "os", "pathlib", "pickle", "platform", "posixpath",
    "random", "reprlib", "secrets", "stat", "struct", "textwrap", "threading", "token", "tokenize", "types", "typing", "warnings",
    "weakref", "zipimport",
)
# fmt: on
_FOLDERS = ("collections", "ctypes", "encodings", "importlib", "json", "re", "urllib")
_NUMPY_MODULES = (
    "__config__",
    "__init__",
    "_distributor_init",
    "_globals",
    "_pytesttester",
    "_version",
    "ctypeslib",
    "version",
)
_NUMPY_FOLDERS = ("compat", "core", "fft", "lib", "linalg", "ma", "matrixlib", "polynomial", "random")
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib64")
PYTHON = "usr/bin/python3.11"
_C_LIBRARIES = ("libc6", "libgcc-s1", "libstdc++6")


def _python_files(triplet: str) -> tuple[str, ...]:
    extensions = (
        f"lib-dynload/_{name}.cpython-311-{triplet}.so" for name in ("contextvars", "ctypes", "json", "typing")
    )
    standard = (*(f"{name}.py" for name in _MODULES), *_FOLDERS, *extensions)
    numpy = (*(f"{name}.py" for name in _NUMPY_MODULES), *_NUMPY_FOLDERS)
    modules = (*(f"usr/lib/python3.11/{name}" for name in standard), *(f"{PACKAGES}/numpy/{name}" for name in numpy))
    return (f"usr/lib/{triplet}", PYTHON, *modules)


@dataclass(frozen=True)
class Part:
    """A folder of the sandbox, filled from packages of one architecture."""

    name: str
    architecture: str  # Debian's name
    packages: tuple[str, ...]
    keep: tuple[str, ...]  # paths of files and folders; everything else is left out
    drop: tuple[str, ...] = ()  # names of files and folders that are left out in any folder
    temporary: bool = False  # needed during set-up only, then removed


PARTS = (
    Part(
        name="x86_64",
        architecture="amd64",
        packages=("qemu-user", "llvm-19", *_C_LIBRARIES, *_QEMU_NEEDS, *_LLVM_NEEDS),
        keep=(
            *(f"usr/bin/qemu-{name}" for name in ("aarch64", "arm", "x86_64")),
            f"{LLVM}/bin/llvm-mc",
            f"{LLVM}/bin/llvm-mca",
            *_LIBRARIES,
        ),
    ),
    Part(name="aarch64", architecture="arm64", packages=_C_LIBRARIES, keep=("usr/lib",)),
    Part(
        name="armv7",
        architecture="armhf",
        packages=(*_C_LIBRARIES, *_PYTHON),
        keep=_python_files("arm-linux-gnueabihf"),
        drop=("tests",),
    ),
    Part(
        name="x86_64-python",  # uses the C libraries of x86_64
        architecture="amd64",
        packages=(*_PYTHON, "libquadmath0"),
        keep=_python_files("x86_64-linux-gnu"),
        drop=("tests",),
    ),
    Part(
        name="compiler",
        architecture="amd64",
        packages=("clang-19", "libclang-cpp19", "libclang-common-19-dev", "lld-19", "libc6-dev"),
        keep=(
            "usr/include",
            f"{LLVM}/bin/clang",
            f"{LLVM}/bin/lld",
            f"{LLVM}/lib/clang/19/include",
            "usr/lib/clang/19/include",
            *_LIBRARIES,
        ),
        temporary=True,
    ),
    Part(
        name="headers",
        architecture="arm64",
        packages=("libc6-dev",),
        keep=("usr/include", "usr/lib/aarch64-linux-gnu"),
        temporary=True,
    ),
)
_WRAPPER = f"{PACKAGES}/tflite_runtime/_pywrap_tensorflow_interpreter_wrapper.so"
VOUCHED = (  # the files that decide the figures; box.json has their hashes
    "x86_64/usr/bin/qemu-aarch64",
    "x86_64/usr/bin/qemu-arm",
    "x86_64/usr/bin/qemu-x86_64",
    f"x86_64/{LLVM}/bin/llvm-mc",
    f"x86_64/{LLVM}/bin/llvm-mca",
    "x86_64/usr/lib/x86_64-linux-gnu/libLiteRt.so",
    "x86_64/usr/lib/x86_64-linux-gnu/libc.so.6",
    "x86_64/usr/lib/x86_64-linux-gnu/libm.so.6",
    "aarch64/usr/lib/aarch64-linux-gnu/libLiteRt.so",
    "aarch64/usr/lib/aarch64-linux-gnu/libc.so.6",
    "aarch64/usr/lib/aarch64-linux-gnu/libm.so.6",
    f"armv7/{PYTHON}",
    f"armv7/{_WRAPPER}",
    "armv7/usr/lib/arm-linux-gnueabihf/libc.so.6",
    "armv7/usr/lib/arm-linux-gnueabihf/libm.so.6",
    f"x86_64-python/{PYTHON}",
    f"x86_64-python/{_WRAPPER}",
    "bin/runner-x86_64",
    "bin/runner-aarch64",
    "bin/android_runner",
    "bin/tflite_runner.py",
    "bin/clock.so",
    "bin/counter.so",
)
