"""`make bench`: every measurement of speed and memory, as a table and as a CSV file; fails where a goal is missed."""

import argparse
import sys
from collections.abc import Iterator

from tests.bench import address_timing, first_match, indexing_speed, joining, page_speed, photo_cost, web_memory
from tests.bench.cache import cache_folder
from tests.bench.report import Figure, report

MEASUREMENTS = {
    "photo_cost": photo_cost.measure,
    "first_match": first_match.measure,
    "indexing": indexing_speed.measure,
    "web_memory": web_memory.measure,
    "joining": joining.measure,
    "pages": page_speed.measure,
    "addresses": address_timing.measure,
}
"""By name; each takes the cache folder and yields figures."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=MEASUREMENTS, nargs="+", default=list(MEASUREMENTS))
    wanted = parser.parse_args().only
    cache = cache_folder()

    def figures() -> Iterator[Figure]:
        for name in wanted:
            yield from MEASUREMENTS[name](cache)

    return report("bench", figures())


if __name__ == "__main__":
    sys.exit(main())
