"""Build the Dockerfile's stages as folders: FROM by debootstrap or a copy, COPY by `cp`, RUN by `chroot`.

The official image python:X-slim-RELEASE can't be had without a registry. In its place stands Debian's minimal system of
the same release with Debian's own Python of the same version.
"""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tests.chroot import dockerfile
from tests.chroot.dockerfile import DockerfileError, Stage, Step

ROOT = Path(__file__).resolve().parents[2]
MIRROR = "http://deb.debian.org/debian"
_PACKAGES = "python3,python3-pip,ca-certificates"
_UNNEEDED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")
"""What Docker's slim images of Debian leave out, too."""
_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
_OF_THE_MACHINE = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt")
"""Files that a RUN sees instead of the image's own, so that it reaches the machine's package indexes."""
_PASSED_ON = re.compile(
    r"(PIP_(INDEX_URL|EXTRA_INDEX_URL|CERT|TRUSTED_HOST|DEFAULT_TIMEOUT)|NPM_CONFIG_REGISTRY|"
    r"NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|(HTTPS?|NO|ALL)_PROXY)",
    re.IGNORECASE,
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """A root file system and what the Dockerfile says about running it."""

    root: str
    env: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    workdir: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    stop_signal: str = "SIGTERM"

    @property
    def size(self) -> int:
        """Bytes of all files, as `du -sb ROOT` adds them up (hard links once)."""
        done = subprocess.run(["du", "-sb", self.root], capture_output=True, text=True, check=True)
        return int(done.stdout.split()[0])


def load(folder: Path, name: str) -> Image:
    """Return an image that `build` made earlier."""
    return Image(**json.loads((folder / f"{name}.json").read_text()))


def build(folder: Path, targets: list[str], arguments: dict[str, str], say: Say) -> dict[str, Image]:
    """Build the targets of the Dockerfile below a folder; a base system that is there already is used again."""
    folder.mkdir(parents=True, exist_ok=True)
    context = _make_context(folder / "context")
    stages = dockerfile.parse((ROOT / "Dockerfile").read_text(), arguments)
    images: dict[str, Image] = {}
    for stage in dockerfile.needed(stages, targets):
        begun = time.monotonic()
        base = images.get(stage.base) or _base(folder, stage.base, say)
        images[stage.name] = _build_stage(folder, stage, base, images, context, arguments)
        (folder / f"{stage.name}.json").write_text(json.dumps(asdict(images[stage.name])))
        say(f"stage {stage.name}: {images[stage.name].size / 1e6:.1f} MB, {time.monotonic() - begun:.1f} s")
    return {name: images[name] for name in targets}


def _build_stage(
    folder: Path, stage: Stage, base: Image, images: dict[str, Image], context: Path, arguments: dict[str, str]
) -> Image:
    root = folder / "stages" / stage.name
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", base.root, root], check=True)
    image = replace(base, root=str(root))
    values: dict[str, str] = {}
    for step in stage.steps:
        match step.instruction:
            case "ARG":
                values |= dockerfile.argument_of(step, arguments)
            case "RUN":
                _run(image, step.argument, values)
            case "COPY":
                source, paths, target = dockerfile.copy_of(step)
                _copy(Path(images[source].root) if source else context, paths, image, target)
            case _:
                image = _configure(image, step, values)
    return image


def _configure(image: Image, step: Step, values: dict[str, str]) -> Image:
    """Return the image with a setting changed; its files stay as they are, but for the folder of a WORKDIR."""
    match step.instruction:
        case "ENV":
            return replace(image, env=image.env | dockerfile.variables_of(step, image.env | values))
        case "WORKDIR":
            (Path(image.root) / step.argument.lstrip("/")).mkdir(parents=True, exist_ok=True)
            return replace(image, workdir=step.argument)
        case "USER":
            return replace(image, user=step.argument)
        case "CMD":
            return replace(image, command=dockerfile.command_of(step))
        case "HEALTHCHECK":
            return replace(image, health=dockerfile.command_of(step))
        case "STOPSIGNAL":
            return replace(image, stop_signal=step.argument)
        case "VOLUME" | "EXPOSE":
            return image
    raise DockerfileError(f"{step.instruction} is parsed, but not executed")


_RUN = """
for file in {files}; do
    [ -e "$file" ] || continue
    [ -e "$ROOT$file" ] || : > "$ROOT$file"
    mount --bind "$file" "$ROOT$file"
done
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
exec chroot "$ROOT" "$@"
"""


def _run(image: Image, command: str, values: dict[str, str]) -> None:
    """Execute a RUN as root. Its mounts are in a namespace of its own, and so end with it, however it ends."""
    of_machine = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    env = of_machine | {"HOME": "/root"} | values | image.env
    inside = ["/usr/bin/env", "-i", f"--chdir={image.workdir}", *(f"{key}={value}" for key, value in env.items())]
    script = "set -eu" + _RUN.format(files=" ".join(_OF_THE_MACHINE))
    outside = ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"]
    done = subprocess.run(
        [*outside, *inside, "/bin/sh", "-c", command],
        env={"PATH": os.environ["PATH"], "ROOT": image.root},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        umask=0o022,
    )
    if done.returncode:
        raise RuntimeError(f"RUN {command}\nended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def _copy(source: Path, paths: list[str], image: Image, target: str) -> None:
    """Copy as COPY does: everything belongs to root, and of a folder the content is copied."""
    place = Path(image.root) / os.path.normpath(f"{image.workdir}/{target}" if target[0] != "/" else target).lstrip("/")
    for path in paths:
        found = source / path.lstrip("/")
        if not found.exists():
            raise DockerfileError(f"COPY {path}: it is not there, or .dockerignore leaves it out")
        is_into = found.is_dir() or target.endswith("/")
        (place if is_into else place.parent).mkdir(parents=True, exist_ok=True)
        what = f"{found}/." if found.is_dir() else found
        subprocess.run(["cp", "-a", "--no-preserve=ownership", what, f"{place}/" if is_into else place], check=True)


def _make_context(folder: Path) -> Path:
    """Copy what .dockerignore lets through, as the Docker client does."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in dockerfile.context_files(ROOT):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, folder / path)
    return folder


def _base(folder: Path, name: str, say: Say) -> Image:
    found = re.fullmatch(r"python:(3\.\d+)-slim-([a-z]+)(@sha256:\w+)?", name)
    if not found:
        raise DockerfileError(f"FROM {name}: only python:X.Y-slim-RELEASE can be replaced by Debian's Python")
    version, release = found[1], found[2]
    root = folder / f"base-{release}"
    if not root.exists():
        begun = time.monotonic()
        _debootstrap(release, root, version)
        say(f"base {release}: {Image(str(root)).size / 1e6:.1f} MB, {time.monotonic() - begun:.1f} s")
    return Image(str(root))


def _debootstrap(release: str, root: Path, version: str) -> None:
    """Make the base system; it gets its final name when it is complete."""
    unfinished = root.with_name(f"{root.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", release, str(unfinished), MIRROR]
    # In a mount namespace: debootstrap's own mounts end with it.
    done = subprocess.run(["unshare", "--mount", *command], capture_output=True, text=True, umask=0o022)
    if done.returncode:
        raise RuntimeError(f"debootstrap failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    python = unfinished / "usr" / "bin" / f"python{version}"
    if not python.exists():
        raise DockerfileError(f"Python {version} is wanted, and Debian {release} has another one")
    for path in _UNNEEDED:
        shutil.rmtree(unfinished / path, ignore_errors=True)
    for path in ("var/lib/apt/lists", "var/cache/apt"):
        for entry in (unfinished / path).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    # The official image has Python and pip below /usr/local, and nothing of them elsewhere.
    for name in ("python", "python3"):
        (unfinished / "usr/local/bin" / name).symlink_to(f"/usr/bin/python{version}")
    packages = unfinished / f"usr/local/lib/python{version}/dist-packages"
    packages.mkdir(parents=True, exist_ok=True)
    for path in (unfinished / "usr/lib/python3/dist-packages").glob("pip*"):
        path.rename(packages / path.name)
    unfinished.rename(root)
