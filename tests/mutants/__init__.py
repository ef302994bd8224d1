"""Deliberate faults, one a patch file: `make mutants` puts each into a copy of the project and expects tests to fail.

A patch begins with a sentence on the fault and a line `Tests:` with the files that have to find it.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Mutant:
    """A fault that the suite has to find."""

    name: str
    fault: str
    tests: tuple[str, ...]
    patch: Path

    def apply(self, tree: Path, *options: str) -> None:
        """Put the fault into a copy of the project; with `--check`, only find out if it could be, with `-R`, undo it.

        Raises:
            ValueError: the code has changed, and the patch no longer fits.
        """
        command = ["git", "apply", *options, str(self.patch)]
        # Outside of any repository, or git would look for the files from the top of that one.
        alone = os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent), "GIT_DIR": os.devnull}
        done = subprocess.run(command, cwd=tree, env=alone, capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"{self.patch.name} no longer fits: {done.stderr}")


def read(patch: Path) -> Mutant:
    """Read a patch file and its header."""
    fault, tests = patch.read_text().splitlines()[:2]
    return Mutant(patch.stem, fault, tuple(tests.removeprefix("Tests: ").split()), patch)


def all_mutants() -> list[Mutant]:
    """Every fault, by name."""
    return [read(patch) for patch in sorted(FOLDER.glob("*.patch"))]
