"""The part of the Dockerfile's language that ours uses, and .dockerignore. Anything else is refused."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = ("FROM", "ARG", "COPY", "RUN", "ENV", "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD")
_HEALTHCHECK = re.compile(r"((?:--(?:interval|timeout|start-period|retries)=\w+ )*)CMD (\[.*\])")


class DockerfileError(Exception):
    """An instruction that this interpreter does not know, or that is wrong."""


@dataclass(frozen=True)
class Step:
    """One instruction: `RUN`, and what stands behind it with continued lines joined."""

    instruction: str
    argument: str


@dataclass
class Stage:
    """`FROM base AS name`, and the instructions up to the next FROM."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list)


def parse(text: str, arguments: dict[str, str] | None = None) -> dict[str, Stage]:
    """Return the stages by name. `arguments` are values of ARGs, as `docker build --build-arg` takes them.

    Raises:
        DockerfileError: there is an instruction that is not in KNOWN, or a stage without a name.
    """
    values: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for step in _steps(text):
        if step.instruction == "FROM":
            words = expand(step.argument, values).split()
            if len(words) != 3 or words[1].upper() != "AS":
                raise DockerfileError(f"FROM {step.argument}: only FROM IMAGE AS NAME is known")
            stages[words[2]] = Stage(words[0], words[2])
        elif not stages:
            if step.instruction != "ARG":
                raise DockerfileError(f"{step.instruction} stands before the first FROM")
            values |= argument_of(step, arguments or {})
        else:
            list(stages.values())[-1].steps.append(step)
    return stages


def needed(stages: dict[str, Stage], targets: list[str]) -> list[Stage]:
    """Return the stages that the targets are made of, each after those that it needs."""
    found: dict[str, Stage] = {}

    def visit(name: str) -> None:
        if name in found or name not in stages:
            return
        stage = stages[name]
        visit(stage.base)
        for step in stage.steps:
            if step.instruction == "COPY" and (source := _source_stage(step)):
                visit(source)
        found[name] = stage

    for target in targets:
        visit(target)
    return list(found.values())


def argument_of(step: Step, arguments: dict[str, str]) -> dict[str, str]:
    """Return name and value of an ARG."""
    name, _, default = step.argument.partition("=")
    return {name: arguments.get(name, default)}


def variables_of(step: Step, values: dict[str, str]) -> dict[str, str]:
    """Return what an ENV sets."""
    pairs = (word.partition("=") for word in shlex.split(step.argument))
    return {name: expand(value, values) for name, _, value in pairs}


def expand(text: str, values: dict[str, str]) -> str:
    """Replace ${NAME} and $NAME; an unknown name becomes empty."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: values.get(found[1] or found[2], ""), text)


def copy_of(step: Step) -> tuple[str | None, list[str], str]:
    """Return a COPY's stage (None for the context), sources and target."""
    words = step.argument.split()
    stage = _source_stage(step)
    paths = words[1:] if stage else words
    if len(paths) < 2 or any(path.startswith("--") or set(path) & set("*?[$") for path in paths):
        raise DockerfileError(f"COPY {step.argument}: only --from, and no patterns")
    return stage, paths[:-1], paths[-1]


def command_of(step: Step) -> list[str]:
    """Return the program and its arguments of a CMD or a HEALTHCHECK in exec form."""
    text = step.argument
    if step.instruction == "HEALTHCHECK":
        found = _HEALTHCHECK.fullmatch(text)
        text = found[2] if found else ""
    try:
        command: list[str] = json.loads(text)
    except ValueError as error:
        raise DockerfileError(f"{step.instruction} {step.argument}: only the exec form is known") from error
    return command


def context_files(folder: Path) -> Iterator[Path]:
    """Yield the files of a context that .dockerignore lets through, relative to it."""
    rules = _rules((folder / ".dockerignore").read_text())
    kept = [line for line, is_kept, _ in rules if is_kept]
    for place, folders, files in os.walk(folder):
        here = Path(place).relative_to(folder)
        folders[:] = [
            name
            for name in folders
            if not _is_ignored(here / name, rules) or any(line.startswith(f"{here / name}/") for line in kept)
        ]
        yield from (here / name for name in files if not _is_ignored(here / name, rules))


_Rule = tuple[str, bool, re.Pattern[str]]


def _rules(text: str) -> list[_Rule]:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.lstrip("!"), line.startswith("!"), _pattern(line.lstrip("!").strip("/"))) for line in lines]


def _pattern(line: str) -> re.Pattern[str]:
    """`**/` is any number of folders, `*` a part of a name. What is below a match matches, too."""
    translated = re.escape(line).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.compile(rf"{translated}(?:/.*)?")


def _is_ignored(path: Path, rules: list[_Rule]) -> bool:
    """The last line that matches decides."""
    ignored = False
    for _, is_kept, pattern in rules:
        if pattern.fullmatch(path.as_posix()):
            ignored = not is_kept
    return ignored


def _steps(text: str) -> Iterator[Step]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, argument = line.strip().partition(" ")
        if instruction not in KNOWN:
            raise DockerfileError(f"{instruction} is not known here; known are {', '.join(KNOWN)}")
        yield Step(instruction, argument.strip())


def _source_stage(step: Step) -> str | None:
    first = step.argument.split()[0]
    return first.removeprefix("--from=") if first.startswith("--from=") else None
