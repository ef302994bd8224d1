"""How many of their photos guests are shown, and how many of others', on an event with a known truth.

    python -m tests.bench.event_recall [--guests 40] [--photos 200] [--seeds 1] [--through product|engine]

Needs the labelled faces: FACES_DIR, by default ../shared/faces. Elsewhere, take public pictures of the same form (a
folder for each person with several pictures of 250 × 250, such as Labeled Faces in the Wild, deep-funnelled) as
FACES_DIR/people, with make_event.py and score.py beside them.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.bench.cache import cache_folder, event
from tests.bench.outcome import Outcome, Shown
from tests.bench.report import Figure, report
from tests.bench.through_product import through_product
from tests.support import faces
from webapp.faces.core.protocols import Gallery, Probe
from webapp.faces.local.analyzer import LocalFaceAnalyzer
from webapp.faces.local.index import LocalFaceIndex
from webapp.pictures import imaging
from webapp.settings import Settings

EVENT = Gallery(1, "bench")
LEAST_RECALL, LEAST_PRECISION = 0.93, 0.99

Driver = Callable[[Path], Outcome]
"""Takes an event's folder, and gives what its guests were shown."""


def through_engine(folder: Path) -> Outcome:
    """Without database, queue or pages: every photo is indexed, every first selfie is gated and searched."""
    truth = json.loads((folder / "truth.json").read_text())
    engine, index, photo_of = LocalFaceAnalyzer.load(cache_folder() / "models"), LocalFaceIndex(), dict[int, str]()
    for name in truth["photos"]:
        found = engine.photo_faces(_frame(folder / "photos" / name))
        keys = range(len(photo_of), len(photo_of) + len(found))
        photo_of.update(dict.fromkeys(keys, name))
        index.add(EVENT, keys, np.array([face.vector for face in found], dtype=np.float32).reshape(-1, 128))
    shown: Shown = {}
    refused = {}
    for guest, facts in truth["guests"].items():
        check = engine.check_selfie(_frame(folder / facts["selfies"][0]))
        if check.face is None or check.face.vector is None:
            refused[guest] = str(check.reason)
            continue
        shown[guest] = _bands(index, check.face.vector, photo_of)
    return Outcome(shown, refused)


def through_the_whole_product(folder: Path) -> Outcome:
    """Over HTTP, through the real jobs, in a DATA_DIR that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="findme-bench-", ignore_cleanup_errors=True) as data:
        return through_product(folder, Path(data) / "data")


DRIVERS: dict[str, Driver] = {"product": through_the_whole_product, "engine": through_engine}


def _bands(index: LocalFaceIndex, probe: np.ndarray, photo_of: dict[int, str]) -> dict[str, list[str]]:
    settings = Settings()
    best: dict[str, float] = defaultdict(lambda: -1.0)
    for hit in index.search(EVENT, [Probe(vector=probe)], settings.maybe_threshold).hits:
        best[photo_of[int(hit.face_id)]] = max(best[photo_of[int(hit.face_id)]], hit.similarity)
    sure = [name for name, value in best.items() if value >= settings.sure_threshold]
    return {"sure": sure, "maybe": [name for name in best if name not in sure]}


def _frame(path: Path) -> imaging.Frame:
    with path.open("rb") as stream:
        return imaging.decode(stream, max_megapixels=80).frame


def score(faces_dir: Path, folder: Path, outcome: Outcome) -> dict[str, tuple[float, float, int]]:
    """Recall, precision and guests shown a photo without them, for `sure` and `sure+maybe`, by score.py itself."""
    answers = folder / "SHOWN.json"
    answers.write_text(json.dumps(outcome.shown, indent=1))
    command = [sys.executable, str(faces_dir / "score.py"), str(folder / "truth.json"), str(answers)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pattern = r"^(\S+): recall (\S+) precision (\S+) guests shown a photo without them: (\d+)"
    lines = re.findall(pattern, told, re.MULTILINE)
    return {band: (float(recall), float(precision), int(guests)) for band, recall, precision, guests in lines}


def measure(options: argparse.Namespace, faces_dir: Path, drive: Driver) -> Iterator[Figure]:
    for seed in options.seeds:
        folder = event(faces_dir, cache_folder(), guests=options.guests, photos=options.photos, seed=seed)
        outcome = drive(folder)
        for guest, reason in outcome.refused.items():
            print(f"  the first selfie of {guest} is refused: {reason}", flush=True)
        scores = score(faces_dir, folder, outcome)
        label = f"event of {options.guests} guests, {options.photos} photos, seed {seed}:"
        yield Figure(f"{label} recall (sure + maybe)", scores["sure+maybe"][0], "", at_least=LEAST_RECALL)
        yield Figure(f"{label} precision (sure)", scores["sure"][1], "", at_least=LEAST_PRECISION)
        yield Figure(f"{label} recall (sure)", scores["sure"][0], "")
        yield Figure(f"{label} shown a stranger as sure", scores["sure"][2], "guests")
        yield Figure(f"{label} selfies refused", len(outcome.refused), "guests")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guests", type=int, default=40)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--through", choices=DRIVERS, default="product", help="what is measured; the engine is quicker")
    options = parser.parse_args()
    faces_dir = faces.find_faces_dir()
    if faces_dir is None:
        print(f"The labelled faces are missing.\n{__doc__}", file=sys.stderr)
        return 2
    return report("event-recall", measure(options, faces_dir, DRIVERS[options.through]))


if __name__ == "__main__":
    sys.exit(main())
