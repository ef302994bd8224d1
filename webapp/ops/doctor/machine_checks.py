"""The machine: its clock and its disks."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from sqlalchemy import text

from webapp.clock import utcnow
from webapp.ops.doctor.findings import Context, Finding, fail, ok, warn
from webapp.settings import MEGABYTE

CLOCK_WARNS, CLOCK_FAILS = timedelta(seconds=2), timedelta(seconds=30)
"""Differences between two clocks. Leases of jobs last a minute, and Amazon refuses a quarter of an hour."""

ROOMY_MB = 2048
"""Free space beside UPLOAD_RESERVE_MB below which a disk is soon full: some hundred photos on their way."""

SPOOL_MB = 256
"""Free space that the web server needs for bodies of requests that are on their way."""

FEW_FILES = 0.02
"""Share of a file system's inodes below which it soon takes no more files."""


def check_clock(context: Context) -> Iterator[Finding]:
    """Compare this machine's clock with those of the database and Redis."""
    differences = {}
    if "database" not in context.missing and not context.settings.is_sqlite:
        with context.engine.connect() as connection:
            asked = utcnow()
            there = cast("datetime", connection.scalar(text("SELECT clock_timestamp()")))
            differences["the database's"] = there - _middle(asked)
    if "redis" not in context.missing:
        asked = utcnow()
        seconds, microseconds = context.redis.time()
        there = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
        differences["Redis'"] = there - _middle(asked)
    if not differences:
        return
    name, worst = max(differences.items(), key=lambda item: abs(item[1]))
    sentence = f"This machine's clock and {name} differ by {abs(worst).total_seconds():.1f} s."
    mend = "Let both machines follow a time server (chrony, systemd-timesyncd)."
    if abs(worst) >= CLOCK_FAILS:
        yield fail("clock", f"{sentence} Jobs would be taken for abandoned, and signed addresses for expired.", mend)
    elif abs(worst) >= CLOCK_WARNS:
        yield warn("clock", sentence, mend)
    else:
        yield ok("clock", f"within {abs(worst).total_seconds():.1f} s of {' and '.join(differences)}")


def check_disk(context: Context) -> Iterator[Finding]:
    """Look at the room on the disks of DATA_DIR and of temporary files."""
    data_dir, reserve = context.settings.data_dir, context.settings.upload_reserve_mb
    yield _room("disk", data_dir, fails_below=reserve, warns_below=reserve + ROOMY_MB)
    yield _room("temporary files", Path(tempfile.gettempdir()), fails_below=1, warns_below=SPOOL_MB)


def _room(name: str, folder: Path, *, fails_below: int, warns_below: int) -> Finding:
    """Find whether a folder's file system has these MB, and inodes, left."""
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return fail(name, f"{folder} can't be written to.", "Mount it writable for the user that FindMe runs as.")
    free = shutil.disk_usage(folder).free // MEGABYTE
    system = os.statvfs(folder)
    sentence = f"{folder} has {free} MB free"
    if free < fails_below:
        return fail(name, f"{sentence}, and {fails_below} are kept in reserve: no upload is taken.", "Make room on it.")
    if system.f_files and system.f_favail < FEW_FILES * system.f_files:
        return warn(name, f"{folder} can take only {system.f_favail} more files.", "Make room, or more inodes.")
    if free < warns_below:
        return warn(name, f"{sentence}.", "Make room before the next event.")
    return ok(name, sentence)


def _middle(asked: datetime) -> datetime:
    """Return the moment half-way between a question and now, when it was probably answered."""
    return asked + (utcnow() - asked) / 2
