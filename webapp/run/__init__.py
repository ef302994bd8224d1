"""`make run` on one machine: the supervisor, its child processes, the embedded Redis, and the page's assets.

Production starts web and worker processes itself; of this it uses nothing but the list of assets, when it installs.
"""
