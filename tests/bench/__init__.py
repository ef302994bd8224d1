"""Measurements of the real thing: `python -m tests.bench` for speed, `python -m tests.bench.event_recall` for matching.

A module here measures one thing and has `measure(cache) -> Iterator[Figure]`; `__main__` lists those that belong to
`make bench`.
"""
