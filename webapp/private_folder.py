"""DATA_DIR is for the one user that FindMe runs as: folders 0700, files 0600.

What protects is the folder itself: no other user gets past a folder of 0700, whatever the rights of what is in it. So
that is checked and mended at each start of each process, and what is in it only once: a million blobs take a while. New
files get their rights from the umask, which every process sets (`make_files_private`), SQLite's and Redis' included.

Web and worker processes that share a DATA_DIR therefore run as the same user.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from webapp.errors import ConfigurationError
from webapp.settings import ROOT

_OTHERS = 0o077
_WRITE_OTHERS = 0o022
# Only what FindMe makes is touched: a folder that was named by mistake may hold anything.
_OURS = (
    ".lock",
    "blobs",
    "demo",
    "demo.json",
    "findme.env",
    "findme.sqlite*",
    "logs",
    "models",
    "redis",
    "secret_key",
    "uploads",
)
_DONE = ".private"
"""This file in DATA_DIR says that everything in it had its rights mended."""
_SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - names of what is refused


def make_files_private() -> None:
    """Let whatever this process and its children create be for its user alone."""
    os.umask(_OTHERS)


def claim(data_dir: Path) -> str:
    """Make DATA_DIR, or take one that is there from other users. `data_dir` is absolute and resolved.

    Returns a sentence that says what was changed; empty where nothing was.

    Raises:
        ConfigurationError: it can't be made or closed, belongs to another user, or is shared with other things.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = data_dir.stat()
    except OSError as error:
        raise ConfigurationError(
            f"DATA_DIR={data_dir} can't be written to ({error.strerror}). Name another."
        ) from error
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"DATA_DIR={data_dir} belongs to another user (uid {found.st_uid}, this is {os.geteuid()}), who could read "
            "and change everything in it. Start FindMe as that user, or name a folder of this one."
        )
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"DATA_DIR={data_dir} can't be written to: its volume is read-only, or its rights forbid it. Every process "
            "needs it for files on their way in. Mount it writable, or name another folder."
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_ISVTX or _is_shared(data_dir):
        raise ConfigurationError(
            f"DATA_DIR={data_dir} holds more than FindMe's data, and DATA_DIR is closed to all other users. Name a "
            f"folder of its own, such as {data_dir / 'findme-data'}."
        )
    if not mode & _OTHERS:
        return ""
    _close(data_dir, mode)
    return f"DATA_DIR={data_dir} was open to other users of this machine ({mode:04o}); it is closed to them now (0700)."


def _is_shared(data_dir: Path) -> bool:
    """Whether it is there for more than FindMe's data: /tmp, a home, what holds the code, or what holds one of them."""
    shared = {Path(name).resolve() for name in (*_SHARED, tempfile.gettempdir())}
    kept_open = [ROOT]
    with contextlib.suppress(RuntimeError):  # a user without a home
        kept_open.append(Path.home().resolve())
    return data_dir in shared or any(folder.is_relative_to(data_dir) for folder in kept_open)


def _close(data_dir: Path, mode: int) -> None:
    """Take the rights of others away.

    Raises:
        ConfigurationError: the file system keeps no rights, or other users have left something in it.
    """
    (data_dir / _DONE).unlink(missing_ok=True)
    data_dir.chmod(0o700)
    if data_dir.stat().st_mode & _OTHERS:
        raise ConfigurationError(
            f"DATA_DIR={data_dir} is open to other users of this machine ({mode:04o}), and its file system keeps it "
            "so. Name a folder on another one."
        )
    # Who could write here may have left a database, a key or a link for us to use.
    foreign = [path.name for path in _ours(data_dir) if path.lstat().st_uid != os.geteuid()]
    if mode & _WRITE_OTHERS and foreign:
        data_dir.chmod(mode)  # so that the next start does not take it for checked
        raise ConfigurationError(
            f"DATA_DIR={data_dir} is open to other users ({mode:04o}), and these in it belong to one of them: "
            f"{', '.join(foreign)}. Look at them and remove them, or name another folder."
        )


def tighten_contents(data_dir: Path) -> None:
    """Take everything that FindMe keeps in DATA_DIR from other users, once; again only where the folder was open.

    Call it while nothing else runs on the folder. Symbolic links, and what they lead to, stay as they are.
    """
    done = data_dir / _DONE
    if done.exists():
        return
    for path in _ours(data_dir):
        _tighten(path)
        if path.is_dir() and not path.is_symlink():
            for folder, folders, files in os.walk(path):
                for name in (*folders, *files):
                    _tighten(Path(folder, name))
    done.touch(mode=0o600)


def _tighten(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISLNK(found.st_mode) and found.st_mode & _OTHERS and found.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(found.st_mode) & 0o700)


def _ours(data_dir: Path) -> Iterator[Path]:
    for name in _OURS:
        yield from data_dir.glob(name)
