"""Execute the Dockerfile's steps in change-root environments, where no Docker daemon runs, and use what came of it.

`python -m tests.chroot` builds both images and runs an event through them. It needs root, Debian and debootstrap, so it
is no part of `make test`.
"""
