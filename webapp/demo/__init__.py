"""The demo event of `make run`: its pictures are composed here and handed in by the ways that people use.

Nothing here runs in production. What a demo shows and allows beyond that is never decided here: `Settings.is_demo` says
whether there is one.
"""
