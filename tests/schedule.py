"""The order of tests, and how xdist deals them out to processes."""

import pytest
from xdist.scheduler import LoadScopeScheduling

_FIRST = ("browser", "integration", "contract")
"""Folders whose tests share what takes long to start, in the order in which they begin."""


_SHARING = ("test_hosted_faces.py", "test_hosted_faces_attacks.py")
"""Other modules whose tests share a server, which remembers the pictures that it has seen."""


def order_of(item: pytest.Item) -> tuple[bool, int]:
    """What takes longest begins first, so that parallel processes end together."""
    folder = _folder(item.nodeid)
    place = _FIRST.index(folder) if folder in _FIRST else len(_FIRST) + (not item.path.name.endswith(_SHARING))
    return folder != "browser" and item.get_closest_marker("slow") is None, place


class OneProductAtATime(LoadScopeScheduling):
    """Keeps what shares a started product or server in one process.

    xdist's own groups by mark have no effect with pytest 9.2, which keeps the id that they would be written into.
    """

    def _split_scope(self, nodeid: str) -> str:
        folder = _folder(nodeid)
        if folder == "browser":
            return f"{folder} {'cloud' in nodeid.partition('[')[2]}"
        module = nodeid.partition("::")[0]
        return module if folder in _FIRST or module.endswith(_SHARING) else nodeid


def _folder(nodeid: str) -> str:
    return nodeid.split("/")[1]
