"""The photos of an event as its photographer sees them: a grid of any size, actions on many, and one photo."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from htmx_flask import request

from webapp.clock import utcnow
from webapp.errors import Invalid
from webapp.models import Event, Membership
from webapp.pages import shot_words
from webapp.pages.common import BUSY, IDLE, trigger
from webapp.queueing import unit_of_work
from webapp.services.live.versions import DESK, mark_of, stamp
from webapp.services.photos import photo_actions as actions
from webapp.services.photos import same_shot
from webapp.services.photos.photo_actions import Action, Done, Selection
from webapp.services.photos.photo_filter import PhotoFilter, Place, State
from webapp.services.photos.same_shot import Decided, Decision
from webapp.services.queries import photo_grid as desk
from webapp.web import polls
from webapp.web.access.permissions import Who

blueprint = Blueprint("shots", __name__, url_prefix="/studio/events/<event_id>/photos")

WHO = dict.fromkeys(("grid", "live", "tiles", "filters", "act", "photo", "decide", "decide_all"), Who.RUNNER)


@blueprint.get("")
def grid(event: Event, **_: Membership) -> ResponseReturnValue:
    """The photos, or one more page of them for htmx, which puts it below the one before."""
    wanted, after = PhotoFilter.read(request.args), Place.read(request.args.get("after", ""))
    tiles, further = desk.page_of(event, wanted, after=after)
    values = {"event": event, "wanted": wanted, "tiles": tiles, "further": further, "after": after}
    decides = wanted.state is State.SAME_SHOT
    same = desk.same_shots(event, [tile.photo for tile in tiles]) if decides else {}
    values |= {"decides": decides, "same": same}
    if request.htmx and after is not None:
        return render_template("shots/_batch.html", **values)
    counts = _count_values(event, wanted)
    facets = desk.facets_of(event) if wanted.is_narrow or "filters" in request.args else None
    return render_template(
        "shots/grid.html", **values, **counts, facets=facets, buttons=shot_words.buttons(wanted, event)
    )


@blueprint.get("/live")
def live(event: Event, **_: Membership) -> ResponseReturnValue:
    """The counts beside the filters; nothing where nothing changed."""
    wanted = PhotoFilter.read(request.args)
    if not request.htmx:
        return redirect(_address(event, wanted))
    values = _count_values(event, wanted)
    return polls.answer(
        values["stamp"], lambda: render_template("shots/_states.html", event=event, wanted=wanted, **values)
    )


@blueprint.get("/tiles")
def tiles(event: Event, **_: Membership) -> ResponseReturnValue:
    """Photos that were on their way when they were shown: those that are finished take their tiles' places."""
    ids = request.args.get("ids", "").split(",")[: desk.PAGE]
    shown = desk.tiles_of(event, ids)
    return render_template("shots/_pending.html", event=event, wanted=PhotoFilter.read(request.args), tiles=shown)


@blueprint.get("/filters")
def filters(event: Event, **_: Membership) -> ResponseReturnValue:
    """The further filters with their counts, for who opens them; they read all photos, so the grid leaves them out."""
    wanted = PhotoFilter.read(request.args)
    if not request.htmx:
        return redirect(_address(event, wanted, filters=""))
    return render_template("shots/_facets.html", event=event, wanted=wanted, facets=desk.facets_of(event))


@blueprint.post("/actions")
def act(event: Event, membership: Membership) -> ResponseReturnValue:
    """Do something to many photos. What deletes, or means more than is shown, is asked about first."""
    action, wanted, selection = _asked()
    if _is_asked_first(action, selection):
        count, chosen, last = actions.meant(event, action, selection)
        if count == 0:
            return _answer(event, wanted, Done(action, [], utcnow()) if chosen else None)
        if request.form.get("confirmed", 0, type=int) < count or selection.up_to is None:
            page = "shots/_confirm.html" if request.htmx else "shots/confirm.html"
            words = shot_words.question(action, count, chosen - count)
            form = {"action": action, "selection": selection, "count": count, "up_to": selection.up_to or last}
            return render_template(page, event=event, wanted=wanted, words=words, **form)
    with unit_of_work():
        done = actions.carry_out(event, action, selection, membership.user)
    return _answer(event, wanted, done)


@blueprint.get("/<photo_id>")
def photo(event: Event, photo_id: str, **_: Membership) -> ResponseReturnValue:
    """One photo: large, with its faces and who they are, and with what the camera wrote."""
    wanted = PhotoFilter.read(request.args)
    found = desk.details_of(event, photo_id, wanted)
    return render_template(
        "shots/photo.html",
        event=event,
        wanted=wanted,
        found=found,
        photo=found.photo,
        for_all_today=shot_words.for_all_today(),
    )


@blueprint.post("/<photo_id>/same-shot")
def decide(event: Event, photo_id: str, membership: Membership) -> ResponseReturnValue:
    """Say what becomes of a photo whose shot was there before: it takes the earlier one's place, or both stay."""
    wanted, decision = PhotoFilter.read(request.form), Decision.read(request.form.get("decision", ""))
    same_shot.compare(event, photo_id)
    with unit_of_work():
        stays = same_shot.decide(desk.photo_of(event, photo_id), decision, membership.user).public_id
    is_apart = decision is Decision.REPLACE and stays == photo_id
    words = shot_words.decided(decision, Decided(0, 0, 1) if is_apart else Decided(1, 0))
    if request.htmx:
        return _toast(event, wanted, words=words, gone=[photo_id])
    flash(words, "good")
    # Decided on the photo's own page: back to the one that stays.
    return redirect(_address(event, wanted, **({"photo_id": stays} if "photo" in request.form else {})), 303)


@blueprint.post("/same-shot")
def decide_all(event: Event, membership: Membership) -> ResponseReturnValue:
    """Decide the same about every photo of a view whose shot was there before; asked about first."""
    form = request.form
    wanted, decision = PhotoFilter.read(form), Decision.read(form.get("decision", ""))
    count, last = same_shot.meant(event, wanted)
    up_to = form.get("up_to", type=_row_id)
    if count and (form.get("confirmed", 0, type=int) < count or up_to is None):
        words = shot_words.same_shot_question(decision, count)
        values = {"decision": decision, "count": count, "up_to": up_to or last}
        return render_template("shots/confirm_same.html", event=event, wanted=wanted, words=words, **values)
    outcome = same_shot.decide_all(event, wanted, up_to or 0, decision, membership.user)
    flash(shot_words.decided(decision, outcome), "good" if outcome.done else "")
    return redirect(_address(event, wanted), 303)


def _asked() -> tuple[Action, PhotoFilter, Selection]:
    """What a form wants: the action, the filter of the grid that it stands on, and the photos that are meant."""
    form = request.form
    if form.get("action") not in [action.value for action in Action]:
        raise Invalid(code="action_unknown")
    wanted = PhotoFilter.read(form)
    ids = form.getlist("ids")
    if len(ids) > actions.MOST_NAMED:
        raise Invalid(code="too_many_chosen")
    selection = Selection(
        ids=tuple(ids),
        wanted=wanted if form.get("all") == "1" else None,
        up_to=form.get("up_to", type=_row_id),
        at=form.get("at", type=_moment),
    )
    return Action(form["action"]), wanted, selection


def _is_asked_first(action: Action, selection: Selection) -> bool:
    return action is Action.DELETE or selection.wanted is not None


def _answer(event: Event, wanted: PhotoFilter, done: Done | None) -> ResponseReturnValue:
    """Say what was done. For htmx also the tiles that changed, or a wish to load the grid anew where they are many."""
    words = shot_words.report(done) if done is not None else gettext("No photo was chosen. Nothing has changed.")
    if not request.htmx:
        flash(words, "good" if done is not None and done.count else "")
        one = request.form.get("photo", "") if done is not None and done.action is not Action.DELETE else ""
        target = _address(event, wanted, photo_id=one) if one.isalnum() else _address(event, wanted)
        return redirect(target, 303)
    ids = done.ids if done is not None else []
    anew = len(ids) > desk.PAGE or "undo" in request.form
    fits = desk.fitting(event, wanted, ids) if not anew else set()
    changed = [tile for tile in desk.tiles_of(event, ids) if tile.photo.public_id in fits] if not anew else []
    gone = [] if anew else [public_id for public_id in ids if public_id not in fits]
    return _toast(event, wanted, words=words, done=done, changed=changed, gone=gone, anew=anew)


def _toast(event: Event, wanted: PhotoFilter, *, anew: bool = False, **values: Any) -> ResponseReturnValue:
    """What htmx gets: the words, the tiles that changed or are gone, and the counts."""
    counts = _count_values(event, wanted)
    response = make_response(render_template("shots/_done.html", event=event, wanted=wanted, **values, **counts))
    response.headers["HX-Trigger"] = "shots-anew" if anew else "shots-done"
    return response


def _count_values(event: Event, wanted: PhotoFilter) -> dict[str, Any]:
    counts = desk.counts_of(event)
    count = desk.count_of(event, wanted) if wanted.is_narrow else counts.of(wanted.state)
    shown = (counts.total, sorted(counts.by_state.items()), counts.erasing, counts.replaced, count, event.approval)
    return {
        "counts": counts,
        "count": count,
        "states": shot_words.states(counts, wanted, event),
        "stamp": stamp(shown, mark_of(DESK, event.id)),
        "trigger": trigger(BUSY if counts.erasing or counts.of(State.WORKING) else IDLE),
    }


def _address(event: Event, wanted: PhotoFilter, **more: str) -> str:
    """The grid with this filter, or one photo among those that it lets through."""
    values: dict[str, Any] = {"event_id": event.public_id, **wanted.words, **more}
    return url_for("shots.photo" if "photo_id" in more else "shots.grid", **values)


def _row_id(value: str) -> int:
    number = int(value)
    if not 0 <= number < 2**31:
        raise ValueError(value)
    return number


def _moment(value: str) -> datetime:
    """A moment that a form of ours carries, in microseconds since 1970."""
    micros = int(value)
    if not 0 <= micros <= 2**52:
        raise ValueError(value)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
