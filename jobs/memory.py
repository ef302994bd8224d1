"""The memory of processes, and how near one is to what it may use. Standard library only."""

import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

_MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Sample:
    """What a process held at one moment, and what was left for it, in bytes."""

    resident: int
    available: int
    limit: int

    @property
    def is_near_limit(self) -> bool:
        """Whether the process used nearly all the memory available to it.

        Less than a fifth was left of what it held and what was free, and it held at least a quarter of all there is: a
        small process on a machine that others have filled is near no limit of its own.
        """
        return self.available < 0.25 * self.resident and self.resident >= 0.25 * self.limit


def sample(pid: int, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Sample | None:
    """Look at a process; None where the system doesn't tell (not Linux) or the process has gone.

    The limit is the tightest of the machine's memory and of the memory limits of the process's control groups.
    """
    try:
        resident = _resident(proc / str(pid))
        bounds = [_machine(proc), *_groups(proc / str(pid), cgroups)]
    except (OSError, ValueError, IndexError, KeyError):
        return None
    limit = min(limit for limit, _ in bounds)
    return Sample(resident, max(0, min(limit - used for limit, used in bounds)), limit)


def resident_megabytes() -> float:
    """How much memory this process holds now (its peak where the system tells nothing else)."""
    try:
        return _resident(Path("/proc/self")) / _MEGABYTE
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / _MEGABYTE if sys.platform == "darwin" else peak / 2**10


def _resident(process: Path) -> int:
    return int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _machine(proc: Path) -> tuple[int, int]:
    """The machine's memory and how much of it is in use, without what the kernel can take back."""
    lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
    table = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}
    return table["MemTotal"], table["MemTotal"] - table["MemAvailable"]


def _groups(process: Path, root: Path) -> list[tuple[int, int]]:
    """The same of each control group (version 1 or 2) that limits the process's memory."""
    found = []
    for line in (process / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            found += _limits(root, path, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
            found += _limits(root / "memory", path, *names)
    return found


def _limits(root: Path, path: str, limit: str, usage: str, cache: str) -> list[tuple[int, int]]:
    """Limits from a group up to the root; a container sees its own group as the root."""
    place = root / path.lstrip("/")
    found = []
    for group in [place, *place.parents]:
        if not group.is_relative_to(root):
            break
        if (group / limit).is_file() and (value := (group / limit).read_text().strip()).isdigit():
            lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
            reclaimable = next((int(words[1]) for words in lines if words[0] == cache), 0)
            found.append((int(value), int((group / usage).read_text()) - reclaimable))
    return found
