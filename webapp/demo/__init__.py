"""The demo event of `make run`: its pictures are composed here and handed in by the ways that people use.

Nothing here runs in production, and no other code asks whether there is a demo.
"""
