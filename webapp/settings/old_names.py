"""Settings of the system before this one: which of them still count, and what to say of the others.

WORKERS, TIMEOUT, GRACEFUL_TIMEOUT, DB_POOL_SIZE and DB_MAX_OVERFLOW kept their names and their meaning.
"""

import os
from collections.abc import Mapping

from webapp.errors import ConfigurationError

POOL = "matching_thread_pool_size"
BYTES_A_PROCESS = 2**30
"""Memory that a matching process of the local engine is counted with."""

_OUR_WORKER_CLASS = "webapp.web_worker.worker.Worker"


def matching_processes(named: Mapping[str, str | None], engine: str) -> tuple[int | None, str]:
    """Return the number of matching processes that MATCHING_THREAD_POOL_SIZE asks for, and a notice about it.

    The local engine computes on this machine: more processes than cores, or than GiB of memory, would only take both
    from each other. None, and no notice, where the setting is not used.

    Raises:
        ConfigurationError: the value is no positive whole number.
    """
    asked = named.get(POOL)
    if not asked:
        return None, ""
    if named.get("matching_processes"):
        return None, "MATCHING_THREAD_POOL_SIZE is ignored, since MATCHING_PROCESSES is set."
    if not (asked.strip().isascii() and asked.strip().isdigit()) or not int(asked):
        raise ConfigurationError(
            f"MATCHING_THREAD_POOL_SIZE={asked} can't be used: it has to be a whole number from 1."
        )
    wished = int(asked)
    number = wished if engine != "local" else max(1, min(wished, cores(), memory_bytes() // BYTES_A_PROCESS))
    notice = f"MATCHING_THREAD_POOL_SIZE={wished} is taken as MATCHING_PROCESSES={number}"
    if number < wished:
        notice += f": the local engine gets one process a core ({cores()}) and a GiB of memory"
        notice += f" ({memory_bytes() // BYTES_A_PROCESS}) at most"
    return number, f"{notice}. `python -m jobs.pool` starts so many, one `rq worker` is one. Set MATCHING_PROCESSES."


def ignored(named: Mapping[str, str | None]) -> list[str]:
    """Return a sentence for each old setting in `named` that has no effect any more."""
    notices = []
    if named.get("bcrypt_rounds"):
        notices.append(
            "BCRYPT_ROUNDS is ignored: passwords are hashed with Argon2id at its recommended cost, with no setting."
        )
    worker_class = named.get("worker_class")
    if worker_class and worker_class != _OUR_WORKER_CLASS:
        notices.append(
            f"WORKER_CLASS={worker_class} is ignored: the web server uses its own worker class ({_OUR_WORKER_CLASS}); "
            "WORKERS and THREADS say how many."
        )
    return notices


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Return the memory of this machine, or of its container where that has less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel's
                limit = file.read().strip()
        except OSError:
            continue
        if limit.isdigit():
            return min(total, int(limit))
    return total
