"""The Dockerfile keeps the rules of docs/containers.md and agrees with compose.yaml. Docker itself is not needed."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from tests.chroot import dockerfile
from tests.chroot.dockerfile import DockerfileError, Stage
from webapp.aws import Service
from webapp.services.events.events import LANGUAGES
from webapp.settings import ROOT, Settings

TEXT = (ROOT / "Dockerfile").read_text()
TRIM = ROOT / "deploy" / "docker" / "trim-packages.sh"
STAGES = dockerfile.parse(TEXT)
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
IMAGES = ("web", "worker")


def chain(name: str) -> list[Stage]:
    """The stages that an image's own file system comes from, its own last."""
    stage = STAGES[name]
    return [*(chain(stage.base) if stage.base in STAGES else []), stage]


def arguments(name: str, instruction: str) -> list[str]:
    return [step.argument for stage in chain(name) for step in stage.steps if step.instruction == instruction]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_as_the_user_that_the_secrets_belong_to(name: str) -> None:
    assert arguments(name, "USER") == ["10001:10001"]
    assert re.search(r"^findme=10001$", (ROOT / "deploy/compose/make-secrets.sh").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_gets_packages_and_app_from_other_stages_alone(name: str) -> None:
    copies = arguments(name, "COPY")
    assert copies == [f"--from={name}-packages /venv /venv", "--from=app /app /app"]
    assert not any("pip " in run or "apt-get" in run for run in arguments(name, "RUN"))


@pytest.mark.parametrize("name", IMAGES)
def test_variables_of_an_image_are_settings_or_known(name: str) -> None:
    others = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "TMPDIR"}
    others |= {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    variables = {word.partition("=")[0] for line in arguments(name, "ENV") for word in shlex.split(line)}
    assert variables - {field.upper() for field in Settings.model_fields} <= others


def test_all_packages_are_wheels_with_a_locked_hash() -> None:
    runs = [step.argument for stage in STAGES.values() for step in stage.steps if "install " in step.argument]
    commands = [found for run in runs for found in re.findall(r"-m pip .*?install .*?-r \S+", run)]
    assert len(commands) == 4
    assert all("--require-hashes" in one and "--only-binary=:all:" in one for one in commands)


def test_commands_and_health_checks_are_those_of_compose() -> None:
    for name in IMAGES:
        (command,) = (step for step in STAGES[name].steps if step.instruction == "CMD")
        assert shlex.join(dockerfile.command_of(command)) == SERVICES[name]["command"]
        (health,) = (step for step in STAGES[name].steps if step.instruction == "HEALTHCHECK")
        assert dockerfile.command_of(health)[0] == "python"


def test_what_reaches_the_builder_has_no_secret_no_data_and_no_test(tmp_path: Path) -> None:
    wanted = ["wsgi.py", "webapp/cli.py", "jobs/a/b.py", "static/css/a.css", "requirements-web.txt", "package.json"]
    refused = [".env", "findme.env", "webapp/.env", "data/findme.sqlite", ".git/config", "tests/a.py", "docs/a.md"]
    refused += ["static/vendor/a.js", "webapp/__pycache__/a.pyc", "webapp/translations/fr/a.mo", "node_modules/a/b.js"]
    refused += ["deploy/compose/make-secrets.sh", ".venv/bin/python", "requirements.txt"]
    for path in (*wanted, *refused):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / ".dockerignore").write_text((ROOT / ".dockerignore").read_text())
    assert sorted(path.as_posix() for path in dockerfile.context_files(tmp_path)) == sorted(wanted)


def test_what_is_trimmed_is_not_used(tmp_path: Path) -> None:
    packages = tmp_path / "lib" / "python3.13" / "site-packages"
    services = [*get_args(Service), "sts", "sso", "ec2"]
    files = [f"botocore/data/{name}/service.json.gz" for name in services]
    files += [f"babel/locale-data/{name}.dat" for name in (*LANGUAGES, "root", "de", "fa", "en_GB", "fr_CA")]
    files += ["botocore/data/endpoints.json", "a/tests/test_a.py", "a/a.py", "a/a.pyi", "a/a.so", "a/testing/a.py"]
    for path in files:
        (packages / path).parent.mkdir(parents=True, exist_ok=True)
        (packages / path).touch()
    subprocess.run([TRIM, tmp_path], check=True)
    left = {path.relative_to(packages).as_posix() for path in packages.rglob("*") if path.is_file()}
    gone = {"botocore/data/ec2/service.json.gz", "babel/locale-data/de.dat", "babel/locale-data/fa.dat"}
    assert set(files) - left == gone | {"a/tests/test_a.py", "a/a.pyi"}


@pytest.mark.parametrize(
    "text",
    ["FROM a AS b\nADD x y", "FROM a", "COPY x y", "FROM a AS b\nSHELL x"],
    ids=["ADD", "no name", "no FROM", "SHELL"],
)
def test_an_instruction_that_is_not_executed_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError):
        dockerfile.parse(text)


@pytest.mark.parametrize("argument", ["--chown=1:1 a b", "*.py .", "a"])
def test_a_copy_that_is_not_executed_is_refused(argument: str) -> None:
    with pytest.raises(DockerfileError):
        dockerfile.copy_of(dockerfile.Step("COPY", argument))


def test_a_command_through_a_shell_is_refused() -> None:
    with pytest.raises(DockerfileError):
        dockerfile.command_of(dockerfile.Step("CMD", "gunicorn wsgi:app"))


def test_lines_are_continued_and_arguments_replaced() -> None:
    text = "ARG BASE=x\n# a\nFROM ${BASE} AS a\nRUN one \\\n    # not this\n    && two\n"
    stages = dockerfile.parse(text, {"BASE": "y"})
    assert stages["a"].base == "y"
    assert [" ".join(step.argument.split()) for step in stages["a"].steps] == ["one && two"]


def test_stages_come_after_those_they_need() -> None:
    names = [stage.name for stage in dockerfile.needed(STAGES, ["web"])]
    assert names[-1] == "web"
    assert "worker-packages" not in names
    assert names.index("assets") < names.index("app")
