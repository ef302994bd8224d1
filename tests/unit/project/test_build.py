"""static/build.mjs leaves whole files, also where an earlier build was ended in the middle of one."""

import os
import resource
import signal
import subprocess
from pathlib import Path

from webapp.install import VENV
from webapp.settings import ROOT


def build(folder: Path, most_bytes: int = resource.RLIM_INFINITY) -> int:
    """Build into a folder; no file may have more bytes, as on a disk that is full."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))

    command = [(VENV / "node").read_text(), "static/build.mjs"]
    env = os.environ | {"FINDME_BUILT": str(folder)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, preexec_fn=limit, timeout=120).returncode


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "files").iterdir() if path.suffix != ".new"}


def test_what_a_failed_build_left_is_made_whole_by_the_next(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert build(whole) == 0
    expected = contents(whole)
    assert build(broken, 50_000) != 0
    assert not (broken / "manifest.json").exists()
    assert contents(broken).items() < expected.items()
    assert build(broken) == 0
    assert contents(broken) == expected
