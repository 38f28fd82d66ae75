"""What the box is made of: Debian's packages, what is kept of each, and the files whose hashes vouch for the figures."""

from __future__ import annotations

from dataclasses import dataclass

from hearlite.benchmarks.arm.build import LLVM

# Shared libraries that the two load, themselves or through one of these.
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
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib64")


@dataclass(frozen=True)
class Part:
    """A folder of the box: packages of one architecture, what is kept of them, and with `litert` LiteRT's library for that processor."""

    name: str
    architecture: str  # as Debian calls it
    packages: tuple[str, ...]
    keep: tuple[str, ...]
    litert: bool = False
    temporary: bool = False  # only the set-up needs it


PARTS = (
    Part(
        name="x86_64",
        architecture="amd64",
        packages=("qemu-user", "llvm-19", "libc6", "libgcc-s1", "libstdc++6", *_QEMU_NEEDS, *_LLVM_NEEDS),
        keep=("usr/bin/qemu-aarch64", "usr/bin/qemu-x86_64", f"{LLVM}/bin/llvm-mc", f"{LLVM}/bin/llvm-mca", *_LIBRARIES),
        litert=True,
    ),
    Part(name="aarch64", architecture="arm64", packages=("libc6", "libgcc-s1", "libstdc++6"), keep=("usr/lib",), litert=True),
    Part(
        name="compiler",
        architecture="amd64",
        packages=("clang-19", "libclang-cpp19", "libclang-common-19-dev", "lld-19", "libc6-dev"),
        keep=("usr/include", f"{LLVM}/bin/clang", f"{LLVM}/bin/lld", f"{LLVM}/lib/clang/19/include", "usr/lib/clang/19/include", *_LIBRARIES),
        temporary=True,
    ),
    Part(name="headers", architecture="arm64", packages=("libc6-dev",), keep=("usr/include", "usr/lib/aarch64-linux-gnu"), temporary=True),
)
VOUCHED = (  # what decides the figures; box.json holds their hashes
    "x86_64/usr/bin/qemu-aarch64",
    "x86_64/usr/bin/qemu-x86_64",
    f"x86_64/{LLVM}/bin/llvm-mc",
    f"x86_64/{LLVM}/bin/llvm-mca",
    "x86_64/usr/lib/x86_64-linux-gnu/libLiteRt.so",
    "x86_64/usr/lib/x86_64-linux-gnu/libc.so.6",
    "x86_64/usr/lib/x86_64-linux-gnu/libm.so.6",
    "aarch64/usr/lib/aarch64-linux-gnu/libLiteRt.so",
    "aarch64/usr/lib/aarch64-linux-gnu/libc.so.6",
    "aarch64/usr/lib/aarch64-linux-gnu/libm.so.6",
    "bin/runner-x86_64",
    "bin/runner-aarch64",
    "bin/android_runner",
    "bin/counter.so",
)
