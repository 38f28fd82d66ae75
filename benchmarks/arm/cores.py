"""Define the emulated ARM cores, and write the files by which a guest identifies its core.

A core comprises the CPU that QEMU emulates, the identity that the guest reads, LLVM's model for the cycle estimate, and
a nominal clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_V8_0 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid"
_V8_2 = f"{_V8_0} atomics fphp asimdhp asimdrdm lrcpc dcpop asimddp ssbs"  # asimddp: SDOT
_V7 = (  # as Linux lists a Cortex-A7's
    "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"
)
_LOGICAL_CPUS = 4
_CACHE_FACTS = ("level", "type", "size", "shared_cpu_list")


@dataclass(frozen=True)
class Core:
    """An emulated core.

    XNNPACK chooses its kernels by the features, the part number and the revision, so all three have to be right.
    """

    name: str  # value of the option --core
    title: str
    qemu_cpu: str  # never "max": QEMU 7.2 computes wrong int8 results with the SME kernels that LiteRT chooses there
    part: int  # MIDR_EL1.PartNum, from the core's Technical Reference Manual
    revision: tuple[int, int]  # rNpM
    features: str  # in the words of /proc/cpuinfo
    llvm_cpu: str | None  # scheduling model for llvm-mca; None if LLVM has none, and then nothing is estimated
    nominal_ghz: float
    clock_of: str  # a device with that clock
    processor: str = "aarch64"  # key of TARGETS in sandbox/toolchain.py

    @property
    def midr(self) -> str:
        """Return part number and revision from the main ID register, as the guest reads them."""
        return f"part {self.part:#x} r{self.revision[0]}p{self.revision[1]}"


CORES = {
    core.name: core
    for core in (
        Core("a53", "Cortex-A53", "cortex-a53", 0xD03, (0, 4), _V8_0, "cortex-a53", 1.4, "Raspberry Pi 3B+"),
        # QEMU 7.2 has no A55. It emulates an A76, which has the same features, while the guest reads the identity of an
        # A55.
        Core("a55", "Cortex-A55", "cortex-a76", 0xD05, (2, 0), _V8_2, "cortex-a55", 1.8, "RK3588, little cores"),
        # LLVM has no model of the A76: its cortex-a76 uses the A57's. The Neoverse N1 is the server version of the A76.
        Core("a76", "Cortex-A76", "cortex-a76", 0xD0B, (3, 0), _V8_2, "neoverse-n1", 2.4, "Raspberry Pi 5"),
        # The smallest core that runs tflite-runtime's wheel for armv7, which uses VFPv4's fused multiply-adds: float
        # files die of SIGILL on QEMU's Cortex-A9, and QEMU's Cortex-A15 executes the same code as the A7. For the A7,
        # LLVM 19 has itineraries, which llvm-mca doesn't accept, but no scheduling model.
        Core("a7", "Cortex-A7", "cortex-a7", 0xC07, (0, 5), _V7, None, 0.9, "Raspberry Pi 2", processor="armv7"),
    )
}

ARM64 = {name: core for name, core in CORES.items() if core.processor == "aarch64"}  # LiteRT has wheels for these only


def write_prefix(core: Core, folder: Path) -> None:
    """Write the files that QEMU's option -L lays over the guest's /proc and /sys.

    Without them QEMU 7.2 shows the guest the host's /proc/cpuinfo, in which LiteRT's cpuinfo library finds no ARM core
    and crashes.

    Parameters
    ----------
    core : Core
        The core that the guest is to identify.
    folder : Path
        Folder to write to, which becomes the argument of -L.
    """
    number, patch = core.revision
    # implementer 0x41: ARM
    fields = (
        f"BogoMIPS\t: 38.40\nFeatures\t: {core.features}\nCPU implementer\t: 0x41\nCPU architecture:"
        f" {7 if core.processor == 'armv7' else 8}\n"
    )
    fields += f"CPU variant\t: {number:#x}\nCPU part\t: {core.part:#x}\nCPU revision\t: {patch}\n"
    _write(folder / "proc/cpuinfo", "".join(f"processor\t: {index}\n{fields}\n" for index in range(_LOGICAL_CPUS)))
    write_topology(folder)


def write_topology(folder: Path) -> None:
    """Write /sys/devices/system/cpu for the guest below `folder`.

    XNNPACK chooses tile sizes by cache size, so the caches are always the same: 32 KiB (level 1) and 512 KiB (level 2).
    """
    system, everyone = folder / "sys/devices/system/cpu", f"0-{_LOGICAL_CPUS - 1}"
    for name, text in {"possible": everyone, "present": everyone, "online": everyone, "kernel_max": "7"}.items():
        _write(system / name, f"{text}\n")
    for index in range(_LOGICAL_CPUS):
        own = str(index)
        facts = {
            "topology/physical_package_id": "0",
            "topology/core_id": own,
            "topology/cluster_cpus_list": everyone,
            "topology/core_siblings_list": everyone,
            "cpufreq/cpuinfo_max_freq": "2000000",
            "cpufreq/cpuinfo_min_freq": "300000",
        }
        caches = (("1", "Data", "32K", own), ("1", "Instruction", "32K", own), ("2", "Unified", "512K", everyone))
        for cache, values in enumerate(caches):
            facts |= {f"cache/index{cache}/{key}": value for key, value in zip(_CACHE_FACTS, values, strict=True)}
        for name, text in facts.items():
            _write(system / f"cpu{index}" / name, f"{text}\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
