"""How much memory processes have held at their peak: what Linux noted of each (VmHWM)."""

from collections.abc import Iterable
from pathlib import Path

import psutil


def peak(processes: Iterable[psutil.Process]) -> float:
    """The most that any one of these has held at once, in MiB. Those that have ended count no more."""
    peaks = [0.0]
    for process in processes:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except FileNotFoundError:
            continue
        peaks += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")]
    return max(peaks)
