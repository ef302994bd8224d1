"""The S3 servers as fixtures, which conftest knows: each is started once a run, by the first test that asks for it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cloud.s3_servers import S3Server


@pytest.fixture(scope="session")
def moto_server() -> "Iterator[S3Server]":
    """S3 that takes whatever comes."""
    from tests.cloud import s3_servers

    with s3_servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs_server() -> "Iterator[S3Server]":
    """S3 that checks signatures and expiry."""
    from tests.cloud import s3_servers

    with s3_servers.seaweedfs() as server:
        yield server
