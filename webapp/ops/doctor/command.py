"""The command `findme doctor`, and how its findings look.

Imports the checks only when it runs: web processes load this module and must not load boto3.
"""

import io
import json
import shutil
import sys
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import Any

import click

from webapp.ops.doctor.findings import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
_NAME = 18


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For programs: one object with all findings.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Look at every part of this installation. The status is 0 unless something fails."""
    from webapp.ops.doctor.examining import examine

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no arrow gets a question mark
    found: list[Finding] = []
    for finding in examine():
        found.append(finding)
        if not as_json:
            click.echo(_line(finding))
    if as_json:
        click.echo(json.dumps(_summary(found), indent=1, ensure_ascii=False))
    else:
        counts = Counter(finding.state for finding in found)
        click.echo(f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['fail']} failing")
    context.exit(1 if _fails(found) else 0)


def _fails(found: list[Finding]) -> bool:
    return any(finding.state == "fail" for finding in found)


def _summary(found: list[Finding]) -> dict[str, Any]:
    return {"healthy": not _fails(found), "findings": [asdict(finding) for finding in found]}


def _line(finding: Finding) -> str:
    """Return a finding as one paragraph: state, part, sentence, and below it what mends it."""
    margin = 7 + _NAME
    width = max(60, min(shutil.get_terminal_size((110, 24)).columns, 120))
    state = click.style(f"{finding.state:<5}", fg=_COLOURS[finding.state], bold=finding.state != "ok")
    indent = " " * margin
    text = textwrap.fill(finding.sentence, width - margin, break_long_words=False, break_on_hyphens=False)
    lines = [f"{state}  {finding.name:<{_NAME}}" + text.replace("\n", f"\n{indent}")]
    if finding.mend:
        mend = textwrap.fill(f"→ {finding.mend}", width - margin, break_long_words=False, break_on_hyphens=False)
        lines.append(indent + mend.replace("\n", f"\n{indent}  "))
    return "\n".join(lines)
