"""`make run` on one machine: the supervisor, its child processes, the embedded Redis, and the page's assets.

Production starts web and worker processes itself and uses none of this.
"""
