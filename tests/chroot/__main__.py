"""`make chroot`: execute the Dockerfile without Docker, and run an event through the images that come of it.

Both images are built as folders (tests/chroot/image.py) and started as compose.yaml starts them
(tests/chroot/container.py), beside a real PostgreSQL, Valkey and S3 store and behind Caddy. The exit code is 1 where
anything is not as it should be. docs/containers.md says what this proves, and what it doesn't.

Needs root on a Debian machine with debootstrap and Caddy, and about 4 GB of disk.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.chroot import doctoring, event, image, installation

LIMIT = 350_000_000
"""Bytes that the web image may have."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chroot ARGS=…", description=__doc__)
    place = Path("/var/tmp/findme-chroot")  # noqa: S108 - made by root, and built anew at each call
    parser.add_argument("--folder", type=Path, default=place, help="where images are built")
    parser.add_argument("--reuse", action="store_true", help="run the images that an earlier call built")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE", help="as of docker build")
    parser.add_argument("--build-only", action="store_true")
    wanted = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        parser.error("this needs root, and debootstrap: apt-get install debootstrap")
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)

    if wanted.reuse:
        images = {name: image.load(wanted.folder, name) for name in ("web", "worker")}
    else:
        arguments = dict(argument.split("=", 1) for argument in wanted.build_arg)
        images = image.build(wanted.folder, ["web", "worker"], arguments, say)
    for name, built in images.items():
        say(f"{name}: {built.size / 1e6:.1f} MB (du -sb {built.root})")
    if wanted.build_only:
        return 0
    with (
        tempfile.TemporaryDirectory(prefix="findme-chroot-", dir=wanted.folder) as folder,
        installation.installation(Path(folder), images, say) as here,
    ):
        event.check_isolation(here.host, say)
        event.run_event(here.host, here.url, say)
        event.check_health(here.host, say)
        doctoring.check_doctor(here, say)
        doctoring.check_without_processes(here, say)
    if images["web"].size > LIMIT:
        say(f"the web image is larger than {LIMIT / 1e6:.0f} MB")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
