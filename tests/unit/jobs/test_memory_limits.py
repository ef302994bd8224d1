"""How near a process is to its memory's limit, read from the files of the kernel, and what its death then means."""

import os
import signal
from pathlib import Path

import pytest

from jobs import memory
from jobs.horse import Horse, Line
from jobs.memory import Sample

PAGE = os.sysconf("SC_PAGE_SIZE")
MEGABYTE = 2**20


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """Process 7 holds 300 MB on a machine with 8 GB, of which 6 are free; it is in the group `/app/worker`."""
    write(tmp_path / "proc/7/statm", f"999999 {300 * MEGABYTE // PAGE} 1 1 0 1 0\n")
    write(tmp_path / "proc/7/cgroup", "0::/app/worker\n")
    write(tmp_path / "proc/meminfo", f"MemTotal: {8 * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {6 * 2**20} kB\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def group(kernel: Path, name: str, limit: str, used: int, reclaimable: int = 0) -> None:
    """A control group of version 2; sizes in MB."""
    place = kernel / "cgroup" / name
    write(place / "memory.max", limit + "\n")
    write(place / "memory.current", f"{used * MEGABYTE}\n")
    write(place / "memory.stat", f"anon 1\ninactive_file {reclaimable * MEGABYTE}\n")


def look(kernel: Path) -> Sample:
    found = memory.sample(7, kernel / "proc", kernel / "cgroup")
    assert found is not None
    return found


def test_without_groups_the_machine_is_the_limit(kernel: Path) -> None:
    assert look(kernel) == Sample(300 * MEGABYTE, 6 * 2**30, 8 * 2**30)
    assert not look(kernel).is_near_limit


def test_the_tightest_group_counts_and_what_can_be_taken_back_is_free(kernel: Path) -> None:
    group(kernel, "app", str(512 * MEGABYTE), 400, reclaimable=100)
    group(kernel, "app/worker", "max", 390)
    assert look(kernel) == Sample(300 * MEGABYTE, 212 * MEGABYTE, 512 * MEGABYTE)


def test_a_container_sees_its_own_group_as_the_root(kernel: Path) -> None:
    write(kernel / "proc/7/cgroup", "0::/\n")
    group(kernel, ".", str(512 * MEGABYTE), 480)
    assert look(kernel).available == 32 * MEGABYTE


def test_groups_of_version_1(kernel: Path) -> None:
    write(kernel / "proc/7/cgroup", "5:cpu,cpuacct:/x\n4:memory:/app\n")
    place = kernel / "cgroup/memory/app"
    write(place / "memory.limit_in_bytes", f"{400 * MEGABYTE}\n")
    write(place / "memory.usage_in_bytes", f"{350 * MEGABYTE}\n")
    write(place / "memory.stat", f"cache 5\ntotal_inactive_file {10 * MEGABYTE}\n")
    assert look(kernel) == Sample(300 * MEGABYTE, 60 * MEGABYTE, 400 * MEGABYTE)
    assert look(kernel).is_near_limit


def test_a_small_process_on_a_full_machine_is_near_no_limit_of_its_own() -> None:
    assert not Sample(resident=300 * MEGABYTE, available=0, limit=8 * 2**30).is_near_limit


def test_a_large_one_with_much_left_is_not_near_it_either() -> None:
    assert not Sample(resident=3 * 2**30, available=4 * 2**30, limit=8 * 2**30).is_near_limit


def test_a_process_that_has_gone_or_a_system_that_tells_nothing_has_no_sample(kernel: Path) -> None:
    assert memory.sample(8, kernel / "proc", kernel / "cgroup") is None
    write(kernel / "proc/meminfo", "")
    assert memory.sample(7, kernel / "proc", kernel / "cgroup") is None


@pytest.mark.parametrize(("available", "of_its_job"), [(6 * 2**30, False), (50 * MEGABYTE, True)])
def test_a_sigkill_counts_only_where_memory_was_short(available: int, of_its_job: bool) -> None:
    horse = Horse.fork(_wait_for_the_end)
    horse.sample_memory()
    if Path("/proc/self/statm").exists():
        assert horse.last_sample is not None
        assert horse.last_sample.resident > MEGABYTE
    horse.last_sample = Sample(3 * 2**30, available, 8 * 2**30)
    os.kill(horse.pid, signal.SIGKILL)
    _, status = os.waitpid(horse.pid, 0)
    assert horse.died_of_its_job(status) is of_its_job


def _wait_for_the_end(line: Line) -> None:
    line.receive()
