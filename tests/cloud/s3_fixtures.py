"""The S3 servers as fixtures, for conftest: all processes of a run share one of each (tests.support.shared_servers)."""

from typing import TYPE_CHECKING

import pytest

from tests.support import shared_servers

if TYPE_CHECKING:
    from tests.cloud.s3_servers import S3Server


@pytest.fixture(scope="session")
def moto_server() -> "S3Server":
    """S3 that takes whatever comes."""
    server: S3Server = shared_servers.ask("moto")
    return server


@pytest.fixture(scope="session")
def seaweedfs_server() -> "S3Server":
    """S3 that checks signatures and expiry."""
    server: S3Server = shared_servers.ask("seaweedfs")
    return server
