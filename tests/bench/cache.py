"""Where benchmarks keep what took long to make: `.bench-cache/`, or the folder in BENCH_CACHE."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench.report import ROOT


def cache_folder() -> Path:
    """The folder, made if need be, with its own .gitignore: a gigabyte of photos must not slip into a commit."""
    folder = Path(os.environ.get("BENCH_CACHE") or ROOT / ".bench-cache")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    return folder


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """The folder `target`, filled by `make` unless it is there. It appears only when it is complete."""
    if not target.exists():
        part = target.with_name(f"{target.name}.part{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            make(part)
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


def event(faces_dir: Path, cache: Path, *, guests: int, photos: int, seed: int) -> Path:
    """An event of make_event.py, kept by its arguments and by the script's own content."""
    script = faces_dir / "make_event.py"
    version = hashlib.sha256(script.read_bytes()).hexdigest()[:8]
    target = cache / "events" / f"g{guests}-p{photos}-x1300-mp12-24-s{seed}-{version}"

    def make(folder: Path) -> None:
        print(f"making {target.name} ({photos} photos, a second each) …", flush=True)
        arguments = ["--people", faces_dir / "people", "--out", folder]
        numbers = ["--guests", guests, "--photos", photos, "--seed", seed]
        command = [sys.executable, script, *arguments, *numbers]
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)

    return made_once(target, make)
