"""Run a program in an image's root file system, restricted as compose.yaml restricts a container.

Its root is read-only, /tmp, /run and /dev/shm are memory, it runs as the image's user without capabilities, and it has
its own host name. It shares the machine's network and process table. All mounts are in a namespace of the process, so
they end with it.
"""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chroot.image import Image

_START = """
set -eu
hostname "$NAME"
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t tmpfs -o mode=1777,size=256m tmpfs "$ROOT/tmp"
mount -t tmpfs -o mode=755,size=1m tmpfs "$ROOT/run"
mount -t tmpfs -o mode=755,size=1m tmpfs "$ROOT/dev"
for device in null zero random urandom; do
    : > "$ROOT/dev/$device"
    mount --bind "/dev/$device" "$ROOT/dev/$device"
done
mkdir "$ROOT/dev/shm" "$ROOT/run/secrets"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$ROOT/dev/shm"
mount --bind "$SECRETS" "$ROOT/run/secrets"
mount --bind "$DATA" "$ROOT/data"
mount --bind "$SPOOL" "$ROOT/var/tmp"
mount -o remount,bind,ro "$ROOT"
exec chroot "$ROOT" "$@"
"""


@dataclass(frozen=True)
class Volumes:
    """Folders of the machine that a container sees: /run/secrets, /data and /var/tmp."""

    secrets: Path
    data: Path
    spool: Path


@dataclass
class Container:
    """A running program, and what it takes to run another one beside it."""

    image: Image
    name: str
    volumes: Volumes
    env: dict[str, str]
    process: subprocess.Popen[str]
    log: Path

    def execute(self, command: list[str], seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command as `docker exec` does: with the same host name, files and environment."""
        process = run_in(self.image, command, self.env, volumes=self.volumes, name=self.name)
        output, _ = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(command, process.returncode, output, "")


@dataclass
class Host:
    """A place for containers that share volumes: starts them, and ends all that are left."""

    folder: Path
    volumes: Volumes
    containers: list[Container] = field(default_factory=list)

    @classmethod
    def make(cls, folder: Path, user: int) -> "Host":
        """Make empty volumes with the owners and modes that Docker and make-secrets.sh give them."""
        volumes = Volumes(folder / "secrets", folder / "data", folder / "spool")
        for path, owner, mode in ((volumes.secrets, 0, 0o755), (volumes.data, user, 0o700), (volumes.spool, 0, 0o1777)):
            path.mkdir(parents=True)
            os.chown(path, owner, owner)
            path.chmod(mode)
        return cls(folder, volumes)

    def keep_secret(self, name: str, value: str, user: int) -> str:
        """Write a secret for the user alone; returns its path in the containers."""
        path = self.volumes.secrets / name
        path.write_text(value)
        path.chmod(0o400)
        os.chown(path, user, user)
        return f"/run/secrets/{name}"

    def start(self, image: Image, name: str, env: dict[str, str], command: list[str] | None = None) -> Container:
        """Start the image's command, or another one, with its output in a log."""
        log = self.folder / f"{name}.log"
        with log.open("w") as stream:
            process = run_in(image, command or image.command, env, volumes=self.volumes, name=name, stdout=stream)
        container = Container(image, name, self.volumes, env, process, log)
        self.containers.append(container)
        return container

    def close(self) -> None:
        """Kill what still runs."""
        for container in self.containers:
            if container.process.poll() is None:
                os.killpg(container.process.pid, 9)
                container.process.wait()


def run_in(
    image: Image, command: list[str], env: dict[str, str], *, volumes: Volumes, name: str, stdout: Any = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start a command in an image. Its process id is the program's own, so signals and the exit status are, too."""
    user, _, group = image.user.partition(":")
    restricted = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups"]
    variables = [f"{key}={value}" for key, value in (image.env | env).items()]
    inside = [
        *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", *restricted),
        *("/usr/bin/env", "-i", f"--chdir={image.workdir}", *variables),
    ]
    outside = ["unshare", "--mount", "--uts", "--propagation=private", "sh", "-c", _START, "sh"]
    paths = {"SECRETS": volumes.secrets, "DATA": volumes.data, "SPOOL": volumes.spool}
    return subprocess.Popen(
        [*outside, *inside, *command],
        env={"PATH": os.environ["PATH"], "ROOT": image.root, "NAME": name}
        | {key: str(path) for key, path in paths.items()},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
        text=True,
        umask=0o022,
        process_group=0,
    )
