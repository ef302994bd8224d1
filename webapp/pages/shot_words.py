"""The words of the photographer's grid: names of states and actions, questions before, and reports after."""

from dataclasses import dataclass

from flask_babel import gettext, ngettext

from webapp.models import Event
from webapp.services.photos.photo_actions import Action, Done
from webapp.services.photos.photo_filter import PhotoFilter, State
from webapp.services.photos.same_shot import Decided, Decision
from webapp.services.queries.photo_grid import Counts


@dataclass(frozen=True, slots=True)
class Chip:
    """A state to choose, with the filter that it leads to and its count."""

    label: str
    count: int
    words: dict[str, str]
    current: bool


@dataclass(frozen=True, slots=True)
class Button:
    """An action to press."""

    action: Action
    label: str
    icon: str
    main: bool


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is done."""

    title: str
    text: str
    button: str


_ICONS = {
    Action.PUBLISH: "send",
    Action.UNPUBLISH: "inbox",
    Action.SHARE: "users",
    Action.UNSHARE: "lock",
    Action.HIDE: "eye-off",
    Action.UNHIDE: "eye",
    Action.DELETE: "trash-2",
    Action.RETRY: "rotate-cw",
}

_MAIN = {
    State.FAILED: (Action.RETRY, Action.DELETE),
    State.UNPUBLISHED: (Action.PUBLISH, Action.HIDE, Action.DELETE),
    State.SHARED: (Action.UNSHARE, Action.HIDE, Action.DELETE),
    State.HIDDEN: (Action.UNHIDE, Action.DELETE),
}
"""What somebody most likely wants with the photos of a state; the rest stands behind one more tap."""


def states(counts: Counts, wanted: PhotoFilter, event: Event) -> list[Chip]:
    """All photos, and each state that has some or is chosen."""
    labels = {
        State.READY: gettext("Ready"),
        State.WORKING: gettext("On their way"),
        State.FAILED: gettext("Failed"),
        State.UNPUBLISHED: gettext("Waiting for approval") if event.approval else gettext("Not published"),
        State.SHARED: gettext("Marked for all"),
        State.HIDDEN: gettext("Hidden"),
        State.SAME_SHOT: gettext("Same shot twice"),
    }
    rest = {name: word for name, word in wanted.words.items() if name != "state"}
    some = [
        Chip(label, counts.of(state), {**rest, "state": state.value}, current=state is wanted.state)
        for state, label in labels.items()
        if counts.of(state) or state is wanted.state
    ]
    return [Chip(gettext("All"), counts.total, rest, current=wanted.state is None), *some]


def buttons(wanted: PhotoFilter, event: Event) -> list[Button]:
    """Every action, those first that are likely here."""
    usual = (Action.PUBLISH,) if event.approval else ()
    main = _MAIN.get(wanted.state) if wanted.state else None
    main = main or (*usual, Action.SHARE, Action.HIDE, Action.DELETE)
    labels = {
        Action.PUBLISH: gettext("Publish"),
        Action.UNPUBLISH: gettext("Take back"),
        Action.SHARE: gettext("Mark for all guests"),
        Action.UNSHARE: gettext("Unmark for all"),
        Action.HIDE: gettext("Hide"),
        Action.UNHIDE: gettext("Show again"),
        Action.RETRY: gettext("Try again"),
        Action.DELETE: gettext("Delete"),
    }
    order = [*main, *(action for action in labels if action not in main)]
    return [Button(action, labels[action], _ICONS[action], main=action in main) for action in order]


def question(action: Action, count: int, unchanged: int = 0) -> Question:
    """What is asked before many photos are changed, or any is deleted.

    unchanged: photos of the selection that are in the wanted state already.
    """
    if action is Action.DELETE:
        return Question(
            ngettext("Delete %(num)s photo for good?", "Delete %(num)s photos for good?", count),
            gettext(
                "The originals, the faces on them and what guests said about them are deleted. This can't be undone."
            ),
            ngettext("Delete %(num)s photo", "Delete %(num)s photos", count),
        )
    titles: dict[Action, str] = {
        Action.PUBLISH: ngettext("Publish %(num)s photo?", "Publish %(num)s photos?", count),
        Action.UNPUBLISH: ngettext("Take %(num)s photo back?", "Take %(num)s photos back?", count),
        Action.SHARE: ngettext("Mark %(num)s photo for all guests?", "Mark %(num)s photos for all guests?", count),
        Action.UNSHARE: ngettext("Unmark %(num)s photo?", "Unmark %(num)s photos?", count),
        Action.HIDE: ngettext("Hide %(num)s photo?", "Hide %(num)s photos?", count),
        Action.UNHIDE: ngettext("Show %(num)s photo again?", "Show %(num)s photos again?", count),
        Action.RETRY: ngettext("Try %(num)s photo again?", "Try %(num)s photos again?", count),
    }
    text = gettext("This means every photo of this view, also those that are not on the screen yet.")
    if unchanged:
        text += " " + ngettext("%(num)s of them needs no change.", "%(num)s of them need no change.", unchanged)
    if action is Action.SHARE:
        text += " " + for_all_today()
    return Question(titles[action], text, gettext("Yes, all of them"))


def for_all_today() -> str:
    """Say what marking a photo for all guests does: no page of theirs lists these photos."""
    return str(
        gettext(
            "Guests have no page with these photos yet: on theirs, each still sees only the photos of themselves. But "
            "any guest of the event can open a marked photo by its file’s link or through the API, while it is "
            "published and not hidden."
        )
    )


def report(done: Done) -> str:
    """What was done, in numbers that are true."""
    if not done.count:
        return str(gettext("Nothing had to change: all chosen photos were so already."))
    n = done.count
    words: dict[Action, str] = {
        Action.PUBLISH: ngettext("Published %(num)s photo.", "Published %(num)s photos.", n),
        Action.UNPUBLISH: ngettext(
            "Took %(num)s photo back. Guests no longer see it.",
            "Took %(num)s photos back. Guests no longer see them.",
            n,
        ),
        Action.SHARE: ngettext("Marked %(num)s photo for all guests.", "Marked %(num)s photos for all guests.", n)
        + " "
        + gettext("Guests have no page with these photos yet."),
        Action.UNSHARE: ngettext(
            "%(num)s photo is no longer marked for all guests.",
            "%(num)s photos are no longer marked for all guests.",
            n,
        ),
        Action.HIDE: ngettext("Hid %(num)s photo from all guests.", "Hid %(num)s photos from all guests.", n),
        Action.UNHIDE: ngettext("%(num)s photo is no longer hidden.", "%(num)s photos are no longer hidden.", n),
        Action.RETRY: ngettext("Trying %(num)s photo again.", "Trying %(num)s photos again.", n),
        Action.DELETE: ngettext("Deleted %(num)s photo.", "Deleted %(num)s photos.", n),
    }
    return words[done.action]


def same_shot_question(decision: Decision, count: int) -> Question:
    """What is asked before all shots of a view that were handed in twice are decided about alike."""
    if decision is Decision.BOTH:
        return Question(
            ngettext("Keep %(num)s shot twice?", "Keep %(num)s shots twice?", count),
            gettext("The old and the new photos both stay, and nobody is asked about them again."),
            gettext("Keep both of all"),
        )
    return Question(
        ngettext("Replace %(num)s photo?", "Replace %(num)s photos?", count),
        gettext(
            "The new files take the place of the old ones, which are kept for 7 days, seen by the team alone, and can "
            "be brought back. Links to the photos and what guests said about them stay. A cover made from one of them "
            "has to be chosen again."
        ),
        ngettext("Replace %(num)s photo", "Replace %(num)s photos", count),
    )


def decided(decision: Decision, outcome: Decided) -> str:
    """What was decided, and what is still to be."""
    n = outcome.done
    if not n and not outcome.left and not outcome.apart:
        return str(gettext("There is nothing to decide any more."))
    words = []
    if decision is Decision.BOTH:
        words.append(ngettext("Kept both photos of %(num)s shot.", "Kept both photos of %(num)s shots.", n))
    elif n or not outcome.apart:
        words.append(ngettext("Replaced %(num)s photo.", "Replaced %(num)s photos.", n))
    if outcome.apart:
        words.append(
            ngettext(
                "%(num)s is another shot: both photos stay.",
                "%(num)s are other shots: both photos stay.",
                outcome.apart,
            )
        )
    if outcome.left:
        words.append(
            ngettext(
                "%(num)s is left: decide about it in a moment.",
                "%(num)s are left: decide about them in a moment.",
                outcome.left,
            )
        )
    return " ".join(words)
