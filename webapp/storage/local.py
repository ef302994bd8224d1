"""Blobs as files below one folder."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from webapp.errors import NotFound, Transient
from webapp.storage.blobs import BlobInfo


class LocalBlobStore:
    """Files below `root`. A blob appears whole or not at all: it is written beside, synced and renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._incoming = self._root / ".incoming"
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, key: str, source: IO[bytes]) -> BlobInfo:
        target = self.path(key)
        draft = self._incoming / secrets.token_hex(12)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("xb") as file:
                shutil.copyfileobj(source, file, 1024 * 1024)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except OSError as error:
            draft.unlink(missing_ok=True)
            code = "no_space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "storage_away"
            raise Transient(code=code) from error
        return self.info(key)

    def open(self, key: str) -> IO[bytes]:
        try:
            return self.path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFound(code="blob_missing") from error
        except OSError as error:
            raise Transient(code="storage_away") from error

    def info(self, key: str) -> BlobInfo:
        try:
            state = self.path(key).stat()
        except FileNotFoundError as error:
            raise NotFound(code="blob_missing") from error
        stamp = f"{key}:{state.st_size}:{state.st_mtime_ns}".encode()
        return BlobInfo(key, state.st_size, hashlib.sha256(stamp).hexdigest()[:32])

    def delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> Iterator[str]:
        for folder, _, names in os.walk(self._root):
            if Path(folder) == self._incoming:
                continue
            for name in names:
                key = (Path(folder) / name).relative_to(self._root).as_posix()
                if key.startswith(prefix):
                    yield key

    def path(self, key: str) -> Path:
        """The file of a key; a key that would leave the folder is a fault of ours and never served."""
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root) or path == self._root:
            raise NotFound(code="blob_missing")
        return path
