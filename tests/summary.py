"""What a run says before pytest's closing line: the time by group, and loudly what could not be tested."""

from collections import defaultdict

import pytest

from tests.support import faces

_PHASES = ("setup", "call", "teardown")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write both, from the reports of all processes."""
    reports = [
        report for kind in terminalreporter.stats.values() for report in kind if isinstance(report, pytest.TestReport)
    ]
    _write_times(terminalreporter, reports)
    if faces.find_faces_dir() is None:
        skipped = sum(report.skipped and faces.MISSING in str(report.longrepr) for report in reports)
        terminalreporter.write_line(
            f"!!! NO LABELLED FACES HERE: {skipped} TESTS ON REAL PEOPLE WERE SKIPPED. {faces.MISSING}. !!!",
            red=True,
            bold=True,
        )


def _write_times(terminalreporter: pytest.TerminalReporter, reports: list[pytest.TestReport]) -> None:
    """Seconds of each phase by the tests' folder and kind of database; those of parallel processes are added up."""
    seconds: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    tests: dict[tuple[str, str], set[str]] = defaultdict(set)
    for report in reports:
        for group in ((report.location[0].split("/")[1], _kind(report.nodeid)), ("all", "")):
            seconds[group][report.when] += report.duration
            tests[group].add(report.nodeid)
    terminalreporter.section("seconds by group")
    for group in sorted(tests, key=lambda group: (group[0] == "all", group)):
        phases = "".join(f"{phase:>10} {seconds[group][phase]:7.1f}" for phase in _PHASES)
        terminalreporter.write_line(f"{group[0]:12}{group[1]:12}{len(tests[group]):5} tests{phases}")


def _kind(nodeid: str) -> str:
    return next((kind for kind in ("postgresql", "sqlite") if kind in nodeid.partition("[")[2]), "")
