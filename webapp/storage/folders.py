"""Folders of local files: made for a file that goes in, removed once empty.

Several processes write and remove at the same time. A folder that one removes because it is empty may be the one that
another has just made for its file; so whoever writes makes the folder again and tries again.
"""

import contextlib
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

TRIES = 100
"""How often a folder is made again for one file: each try is lost only to a removal in that very moment."""


def free_bytes(folder: Path) -> int:
    """Return the bytes that we may still write on a folder's disk. The folder itself need not be there yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def in_folder(folder: Path, write: Callable[[], T], mode: int = 0o700) -> T:
    """Make a folder with its parents and call `write`; again while another process removes the folder in between.

    Raises:
        OSError: as `write` does, or the folder can't be made.
    """
    for attempt in range(TRIES):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=mode)
            return write()
        except (FileNotFoundError, FileExistsError):
            # FileExistsError: mkdir found the folder, and it was gone when it looked what it was.
            if attempt == TRIES - 1 or _is_file(folder):
                raise
    raise AssertionError("the last try returns or raises")


def _is_file(path: Path) -> bool:
    """Whether a file has the folder's place; one look, since the folder may come and go between two."""
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return False


def remove_tree(folder: Path) -> None:
    """Remove a folder with everything in it, also while another process removes some of the same.

    Raises:
        OSError: something can't be removed, or another process adds files at the same time.
    """
    while folder.exists():
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)


def remove_empty(folder: Path, root: Path) -> None:
    """Remove a folder and its parents below `root` as far as they are empty; never fails."""
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except FileNotFoundError:
            pass  # another process was faster; its parent may be empty now
        except OSError:
            return
        folder = folder.parent
