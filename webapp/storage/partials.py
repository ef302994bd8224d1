"""Files on their way in: bytes are appended as they arrive, and what is on the disk is what counts.

Nothing is kept in memory between two requests, so that any process of any machine that shares the folder can go on
where another one stopped or died. A blob appears only when the file is whole.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from webapp.errors import Conflict, NotFound, Transient
from webapp.storage.folders import in_folder, remove_empty, remove_tree


class PartialFiles:
    """Files below `root`, by keys of ours such as `events/EVENT/uploads/UPLOAD`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def size(self, key: str) -> int:
        """Bytes that have arrived; 0 where nothing has yet."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise Transient(code="storage_away") from error

    def append(self, key: str, offset: int, piece: bytes) -> int:
        """Add a piece behind the first `offset` bytes; returns how many there are then.

        The file is locked for the moment of writing only, never while somebody waits for a network: a request whose
        connection has died unnoticed keeps nobody from going on.

        Raises:
            Conflict: `upload_offset`: there are more or fewer bytes by now; another request was quicker.
            Transient: `no_space` or `storage_away`: the disk can't take it; what was there before stays.
        """
        path = self._path(key)
        try:
            handle = in_folder(path.parent, lambda: os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                if os.fstat(handle).st_size != offset:
                    raise Conflict(code="upload_offset")
                return _write(handle, offset, piece)
            finally:
                os.close(handle)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise Transient(code="no_space" if full else "storage_away") from error

    @contextmanager
    def whole(self, key: str) -> Iterator[IO[bytes]]:
        """The file to be read, locked, so that only one process at a time makes something of it.

        Raises:
            NotFound: `upload_missing`: it is not there, or no longer.
        """
        path = self._path(key)
        try:
            file = path.open("rb")
        except FileNotFoundError as error:
            raise NotFound(code="upload_missing") from error
        except OSError as error:
            raise Transient(code="storage_away") from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""
        try:
            path = self._path(key)
            path.unlink(missing_ok=True)
            remove_empty(path.parent, self._root)
        except OSError as error:
            raise Transient(code="storage_away") from error

    def delete_all(self, prefix: str) -> None:
        """Remove every file whose key starts with `prefix`.

        Raises:
            ValueError: `prefix` does not end with a slash, so it might mean more than was meant.
        """
        if not prefix.endswith("/"):
            raise ValueError(f"{prefix!r} might mean more than was meant")
        try:
            path = self._path(prefix)
            remove_tree(path)
            remove_empty(path.parent, self._root)
        except OSError as error:
            raise Transient(code="storage_away") from error

    def keys(self, older_than: float) -> Iterator[str]:
        """Files to which nothing was added since `older_than` (seconds since 1970)."""
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder) / name
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < older_than:
                        yield path.relative_to(self._root).as_posix()

    def _path(self, key: str) -> Path:
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root) or path == self._root:
            raise NotFound(code="upload_missing")
        return path


def _write(handle: int, offset: int, piece: bytes) -> int:
    """Write all of a piece or nothing of it: half of one would be read as the sender's next offset, which is right, but
    a disk that is full would then fill up to its last byte.
    """
    done = 0
    try:
        while done < len(piece):
            done += os.pwrite(handle, piece[done:], offset + done)
    except OSError:
        os.ftruncate(handle, offset)
        raise
    return offset + done
