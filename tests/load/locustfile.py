"""For people who use locust: `EVENT_CODE=… locust -f tests/load/locustfile.py --host URL`, then open port 8089.

30 users at 5 a second are the old system's load. `locust … AppGuest` is scenario A alone, `ApiGuest` the same without
pauses, `PageGuest` scenario B.
`flask findme purge-load` erases the guests that it made. tests/load/visitors.py names the settings.
"""

import sys
from pathlib import Path

# Locust knows the folder of this file, and the tests' package lies above it.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.load.api_guest import ApiGuest, AppGuest
from tests.load.page_guest import PageGuest

__all__ = ["ApiGuest", "AppGuest", "PageGuest"]
