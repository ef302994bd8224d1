"""Live regions: versions in Redis that change with each commit, so that polls are answered without the database.

It never decides what a region shows.
"""
