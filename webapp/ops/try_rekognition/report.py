"""The outcome of a trial as text and as JSON. Neither holds keys, addresses or the id of the account."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import botocore

from webapp.faces.rekognition import quotas
from webapp.ops.try_rekognition.opt_out import OptOut
from webapp.ops.try_rekognition.recording import OperationResult, results
from webapp.ops.try_rekognition.trial import Similarity, Trial
from webapp.settings import ROOT, Settings


@dataclass(frozen=True, slots=True)
class Report:
    """A trial beside the settings that it is judged by."""

    trial: Trial
    settings: Settings
    opt_out: OptOut

    @property
    def succeeded(self) -> bool:
        """Whether every operation worked, and each search found the same person and not the other one."""
        searched = {search.operation for search in self.trial.searches}
        return (
            self.trial.is_complete
            and not self.trial.left_behind
            and all(result.status == "ok" for result in results(self.trial.record))
            and searched == {"SearchFaces", "SearchFacesByImage", "SearchUsersByImage"}
            and all(self._tells_apart(search) for search in self.trial.searches)
        )

    @property
    def dollars(self) -> float:
        return self.trial.billable * self.settings.rekognition_price_per_1000 / 1000

    def to_dict(self) -> dict[str, Any]:
        """The report for programs; similarities on Amazon's scale from 0 to 100."""
        trial = self.trial
        return {
            "succeeded": self.succeeded,
            "versions": {"findme": _version(), "botocore": botocore.__version__, "face_model": trial.model},
            "region": quotas.region(self.settings),
            "is_amazon": not self.settings.rekognition_endpoint_url,
            "operations": [
                {
                    "operation": result.operation,
                    "status": result.status,
                    "calls": result.calls,
                    "median_ms": None if result.milliseconds is None else round(result.milliseconds, 1),
                    "reason": result.reason,
                    "action": result.action,
                }
                for result in results(trial.record)
            ],
            "searches": [
                {
                    "operation": search.operation,
                    "same_person": _rounded(search.same),
                    "other_person": _rounded(search.other),
                    "tells_apart": self._tells_apart(search),
                }
                for search in trial.searches
            ],
            "thresholds": {"sure": self.settings.rekognition_sure, "maybe": self.settings.rekognition_maybe},
            "billable_calls": trial.billable,
            "dollars": round(self.dollars, 6),
            "opt_out": {"status": self.opt_out.status, "reason": self.opt_out.reason},
            "deleted": trial.deleted,
            "left_behind": trial.left_behind,
            "notes": trial.notes,
        }

    def lines(self) -> Iterator[str]:
        """The report for people, line by line."""
        place = "a server that is not Amazon's" if self.settings.rekognition_endpoint_url else "Amazon Rekognition"
        yield f"FindMe {_version()}, botocore {botocore.__version__}"
        yield f"{place}, region {quotas.region(self.settings)}, face model {self.trial.model or 'unknown'}"
        yield ""
        yield from (_line(result) for result in results(self.trial.record))
        yield ""
        yield from (self._search_line(search) for search in self.trial.searches)
        yield from self.trial.notes
        price = self.settings.rekognition_price_per_1000
        yield f"{self.trial.billable} billable calls, ${self.dollars:.4f} at ${price:g} for 1,000."
        yield f"AI services opt-out policy: {self.opt_out.sentence}"
        yield from self._deletion_lines()
        yield "Result: everything works." if self.succeeded else "Result: NOT everything works; see above."

    def _tells_apart(self, search: Similarity) -> bool:
        found = search.same is not None and search.same >= self.settings.rekognition_sure
        return found and (search.other is None or search.other < self.settings.rekognition_maybe)

    def _search_line(self, search: Similarity) -> str:
        sure, maybe = self.settings.rekognition_sure, self.settings.rekognition_maybe
        same, other = ("not found" if value is None else f"{value:.1f}" for value in (search.same, search.other))
        mark = "ok" if self._tells_apart(search) else "WRONG"
        return (
            f"{search.operation}: same person {same} (sure from {sure:g}), "
            f"other person {other} (must be below {maybe:g}): {mark}"
        )

    def _deletion_lines(self) -> Iterator[str]:
        if self.trial.deleted:
            yield f"Deleted again: {', '.join(self.trial.deleted)}."
        elif not self.trial.left_behind:
            yield "No collection was made."
        region = quotas.region(self.settings)
        for name in self.trial.left_behind:
            command = f"aws rekognition delete-collection --region {region} --collection-id {name}"
            yield f"Delete by hand, if it exists: {command}"


def _line(result: OperationResult) -> str:
    time = "" if result.milliseconds is None else f"{result.milliseconds:.0f} ms"
    text = f"{result.operation:<20}{result.status:<20}{time:>7}"
    if result.calls > 1:
        text += f"  {result.calls} calls"
    if result.status == "missing right":
        text += f"  allow {result.action}"
    elif result.status != "ok" and result.reason:
        text += f"  {result.reason}"
    return text.rstrip()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _version() -> str:
    """The version in pyproject.toml; the app is not installed as a package."""
    try:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except (OSError, KeyError, ValueError):
        return "unknown"
    return str(project["version"])
