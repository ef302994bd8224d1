"""Stable codes → sentences for people. Each says what happened, that nothing was lost, and what to do next.

Services raise codes, jobs store them; here alone they become words, in the language of whoever reads them.
"""

from collections.abc import Mapping
from types import MappingProxyType

from flask_babel import gettext, lazy_gettext
from flask_babel.speaklater import LazyString

from webapp.errors import ConfigurationError, FindMeError

_SELFIE = {
    "unreadable": lazy_gettext(
        "We couldn't open this picture. Nothing is lost: take a new selfie, or pick a JPEG or PNG picture."
    ),
    "no_face": lazy_gettext(
        "We couldn't find a face in this picture. Look straight into the "
        "camera, with your whole face in the oval, and try again."
    ),
    "several_faces": lazy_gettext(
        "There is more than one face in this picture, and we can't tell "
        "which is yours. Take a selfie with nobody else in it."
    ),
    "too_small": lazy_gettext(
        "Your face is too small in this picture. Hold the camera closer, so that your face fills the oval."
    ),
    "turned_away": lazy_gettext("Your face is turned to the side. Look straight into the camera and try again."),
    "blurred": lazy_gettext("The picture is blurred. Hold the phone still, wipe the lens, and try again."),
    "too_dark": lazy_gettext("It is too dark to see your face. Turn towards a light and try again."),
    "too_bright": lazy_gettext(
        "Your face is too bright to make out. Turn away from the light behind the camera and try again."
    ),
    "unclear": lazy_gettext(
        "We can't see your face clearly. Take off sunglasses, mask or cap, face the light, and try again."
    ),
    "selfie_too_large": lazy_gettext(
        "This file is too large for a selfie. Nothing was lost: pick a smaller picture, or take a new one."
    ),
    "selfies_enough": lazy_gettext(
        "You have handed in all the selfies that one guest can hand in on a day, so this one was not taken. Nothing "
        "else has changed. Ask the photographer, or try again tomorrow."
    ),
    "search_stopped": lazy_gettext(
        "The search for your photos rests until the photographer has decided about it, and no new selfie is taken "
        "until then. You don't have to do anything."
    ),
    "search_refused": lazy_gettext(
        "The photographer did not let these selfies be searched for, so they were deleted. If that is a mistake, "
        "please ask the photographer: then you can take a new one."
    ),
    "selfie_missing": lazy_gettext("A selfie is missing. Take one, or pick a picture of yourself."),
    "selfie_fits": lazy_gettext("Looks good so far."),
    "checking": lazy_gettext(
        "We are still looking at this picture. You can go on: it is checked again when you send it."
    ),
    "angle_invalid": lazy_gettext("This selfie came without a known direction. Please take it again."),
}

_PICTURE = {
    "empty": lazy_gettext("The file is empty. Please choose it again, or another one."),
    "not_a_picture": lazy_gettext(
        "This file is not a picture that we can open. Please choose a JPEG, PNG, WebP, HEIC or AVIF picture."
    ),
    "heic": lazy_gettext("This is a HEIC picture, which we can't open here. Please save it as JPEG and send that."),
    "truncated": lazy_gettext("The picture is damaged or did not arrive completely. Please send it again."),
    "too_many_pixels": lazy_gettext("The picture has too many pixels. Please export it smaller and send that."),
    "photo_too_large": lazy_gettext("The file is larger than we take. Please export it smaller and send that."),
    "photo_unknown": lazy_gettext("This photo is not there, or it was deleted. All other photos are where they were."),
    "action_unknown": lazy_gettext(
        "This can't be done with photos. Nothing has changed: go back, load the page again and choose anew."
    ),
    "too_many_chosen": lazy_gettext(
        "These are too many photos to name one by one. Nothing has changed: choose a filter and take all of its photos."
    ),
    "clock_offset_invalid": lazy_gettext(
        "A clock can be off by up to ten years: whole hours, and minutes and seconds from 0 to 59. Please check them."
    ),
    "no_files": lazy_gettext("No photo was chosen. Pick one or more photos and send them again."),
}

_WORK = {
    "crashed": lazy_gettext(
        "This picture stopped our program three times, so we set it aside. The "
        "file is kept: try again, or send it as a new JPEG."
    ),
    "interrupted": lazy_gettext(
        "Our program was stopped again and again while it worked on this picture, so we set it aside. The file is "
        "kept: please try again."
    ),
    "timeout": lazy_gettext("Looking at this picture took too long. It is kept: please try again."),
    "transient": lazy_gettext("Something was out of reach for a moment. Nothing is lost: please try again."),
    "storage_away": lazy_gettext(
        "The picture store can't be reached just now. Nothing was lost: please try again in a minute."
    ),
    "no_space": lazy_gettext(
        "There is no room left for pictures just now. Nothing else is lost; we are told, please try again later."
    ),
    "blob_missing": lazy_gettext("The file of this picture is missing. Please send it again."),
    "uploads_open": lazy_gettext(
        "Too many of your files are on their way at the same time. Nothing is lost: this one waits, and goes on by "
        "itself when others are here or have been given up."
    ),
    "uploads_open_all": lazy_gettext(
        "Too many files are on their way here just now. Nothing is lost: this one waits, and goes on by itself."
    ),
    "form_too_large": lazy_gettext(
        "One form takes at most 1,000 files and 1 GB in all, and this was more. Nothing of it was taken in: send fewer "
        "files at a time, or drop the whole folder on the upload page."
    ),
    "upload_offset": lazy_gettext(
        "This file is already being sent from somewhere else. Nothing is lost: it goes on where the other one stops."
    ),
    "upload_too_long": lazy_gettext(
        "More arrived than was announced for this file. Nothing else is lost: please send it again."
    ),
    "upload_header_invalid": lazy_gettext(
        "The program that sends this file says things that we don't understand. Nothing was lost: reload the page and "
        "send the file again."
    ),
    "upload_protocol": lazy_gettext("This is for programs that send files by the tus protocol, version 1.0.0."),
    "upload_incomplete": lazy_gettext("Not all of this file has arrived. Nothing is lost: please send it again."),
    "photo_going": lazy_gettext("This photo is just being deleted here. Please send it again in a minute."),
    "not_same_shot": lazy_gettext(
        "There is nothing to decide about this photo any more: somebody has already decided, or one of the two is gone."
    ),
    "not_replaced": lazy_gettext("This photo is back already, or its days are over and it was erased."),
    "replaced_there": lazy_gettext("The same file was handed in again and is among the photos already."),
    "shot_busy": lazy_gettext("One of the two photos is still being worked on. Please decide in a moment."),
    "shot_failed": lazy_gettext("The new photo has failed, so the old one stays. Try the new one again first."),
    "upload_missing": lazy_gettext("This upload was interrupted for too long. Please send the picture again."),
    "error": lazy_gettext("Something went wrong on our side. Nothing is lost: please try again."),
    "internal": lazy_gettext("Something went wrong on our side. Nothing is lost: please try again."),
}

_SERVICES = {
    "call_limit": lazy_gettext(
        "Face search has reached this event's limit. Nothing is lost: what waits is kept, and when the photographer "
        "raises the limit, the search goes on by itself."
    ),
    "call_limit_invalid": lazy_gettext(
        "A limit is a whole number from 0 to 1,000,000,000, without commas. "
        "0 is without limit; leave it empty for the usual limit here."
    ),
    "engine_away": lazy_gettext(
        "Face search can't be reached just now. Nothing is lost: please try again in a few minutes."
    ),
    "engine_busy": lazy_gettext("Face search is very busy just now. Nothing is lost: it goes on by itself."),
    "engine_face_missing": lazy_gettext(
        "Face search has lost one of your pictures. We still have it: please try again in a few minutes."
    ),
    "engine_missing": lazy_gettext(
        "Face search is being set up anew for this event. Nothing is lost: it goes on by itself."
    ),
    "engine_refused": lazy_gettext(
        "Face search can't use this picture. It is kept: please save it as a new JPEG and send that."
    ),
    "engine_rights": lazy_gettext(
        "Face search is not set up correctly here. Nothing is lost: the people who "
        "run this installation are told. Please try again later."
    ),
    "storage_busy": lazy_gettext(
        "The picture store is very busy just now. Nothing is lost: please try again in a minute."
    ),
    "forwarded_addresses": lazy_gettext(
        "This installation may be set up wrongly behind a proxy. Nothing is lost: the people who run it are told."
    ),
    "storage_missing": lazy_gettext("The file of this picture is no longer there. Please send it again."),
    "storage_refused": lazy_gettext(
        "The picture store did not take this file. Nothing else is lost: please save it as a new JPEG and send that."
    ),
    "storage_rights": lazy_gettext(
        "The picture store is not set up correctly here. What was stored before is not lost: "
        "the people who run this installation are told. Please try again later."
    ),
}

_PEOPLE = {
    "wrong_credentials": lazy_gettext("Name or password don't match. Check both and try again."),
    "unauthenticated": lazy_gettext("Please sign in first."),
    "sign_in_required": lazy_gettext("Please sign in first."),
    "login_missing": lazy_gettext("Please type your e-mail address or your name."),
    "password_missing": lazy_gettext("Please type your password."),
    "address_missing": lazy_gettext("Please type your e-mail address, or tick that you go without one."),
    "email_invalid": lazy_gettext(
        "This doesn't look like an e-mail address. Please check it, for example name@example.com."
    ),
    "email_taken": lazy_gettext("This e-mail address already belongs to an account. Sign in, or use another address."),
    "username_taken": lazy_gettext("This name is taken. Please choose another one."),
    "name_invalid": lazy_gettext("Please tell us your name, in at most 80 characters."),
    "password_length": lazy_gettext("A password has at least 8 characters. You can also leave it out."),
    "new_password_length": lazy_gettext("A password has at least 8 characters, and at most 200."),
    "password_wrong": lazy_gettext("This is not your present password. Check it and try again."),
    "password_changed": lazy_gettext("The password was changed meanwhile, in another window or on another device."),
    "password_without_address": lazy_gettext(
        "A password is typed together with an e-mail address: please give your account one first."
    ),
    "consent_required": lazy_gettext(
        "We only look for your face if you agree. Please tick the box, or leave the page: nothing has been stored."
    ),
    "consent_outdated": lazy_gettext(
        "The text you agree to has changed meanwhile. Please read it again and tick the box."
    ),
    "link_invalid": lazy_gettext(
        "This link was used before or is too old. Nothing is lost: ask for a new one on the sign-in page."
    ),
    "mail_not_set_up": lazy_gettext("No mail server is set up here, so this message was not sent."),
    "mail_server_away": lazy_gettext("The mail server can't be reached just now. We try again by ourselves."),
    "configuration": lazy_gettext(
        "This installation is not set up completely. The people who run it have to look at it."
    ),
    "user_type_invalid": lazy_gettext("Only guests can join with an event's code."),
}

_EVENTS = {
    "event_code_unknown": lazy_gettext(
        "We don't know this code. Check it on the invitation or the sign: letters and digits, spaces don't matter."
    ),
    "event_code_missing": lazy_gettext(
        "Type the code of the event first. It is on the invitation or the sign with the QR code."
    ),
    "event_closed": lazy_gettext(
        "This event is closed: nobody can join or add photos any more. If "
        "you joined before, sign in to see your photos."
    ),
    "account_disabled": lazy_gettext(
        "This account is disabled, so nothing more is taken from it. What it sent before is kept: an admin of this "
        "installation can enable it again."
    ),
    "account_unknown": lazy_gettext("There is no such account, or several carry this address. Nothing was changed."),
    "disables_self": lazy_gettext("You can't disable your own account. Nothing was changed: ask another admin."),
    "last_admin": lazy_gettext(
        "This is the last admin of the installation, so the account was not disabled. Make another admin first."
    ),
    "joins_over": lazy_gettext(
        "Joining this event has ended. Nothing was kept of what you typed: please ask the photographer to open it "
        "for you. If you joined before, sign in to see your photos."
    ),
    "join_days_invalid": lazy_gettext("Please type a number of days up to 3650, or leave it empty for no end."),
    "admission_waiting": lazy_gettext(
        "The photographer of this event admits its guests. Your selfie is kept, and we look for you as soon as you "
        "are admitted."
    ),
    "not_admitted": lazy_gettext(
        "The photographer has not admitted you to this event. Your selfie is deleted, and no new one is taken. "
        "If that is a mistake, please talk to the photographer."
    ),
    "admitted_already": lazy_gettext("This guest is admitted already. Nothing was changed."),
    "event_code_taken": lazy_gettext(
        "Another event has this code. Please choose another one, or leave it empty and get one."
    ),
    "event_code_invalid": lazy_gettext(
        "A code of your own has 6 to 32 letters and digits. Leave it empty to get one that nobody can guess."
    ),
    "event_name_invalid": lazy_gettext("Please give the event a name, in at most 120 characters."),
    "event_place_invalid": lazy_gettext("Please shorten the place to 120 characters."),
    "event_date_invalid": lazy_gettext("Please choose the day of the event."),
    "upload_token_invalid": lazy_gettext(
        "This upload token is not valid any more: it was revoked, or its time has run out. What it sent is kept. "
        "Make a new one on the event's page."
    ),
    "upload_token_needed": lazy_gettext(
        "This is only for programs that come with an upload token. You can make one on the event's page."
    ),
    "upload_token_name_invalid": lazy_gettext("Please say what the token is for, in at most 80 characters."),
    "upload_token_days_invalid": lazy_gettext("Please choose one of the times that are offered."),
    "upload_tokens_too_many": lazy_gettext(
        "This event has as many upload tokens as it can have. Revoke one that you don't need, then make the new one."
    ),
    "event_timezone_invalid": lazy_gettext("Please choose a timezone from the list."),
    "event_language_invalid": lazy_gettext("Please choose one of these languages."),
    "event_accent_invalid": lazy_gettext("Please choose a colour, for example #145f5c."),
    "event_name_differs": lazy_gettext(
        "This is not the event's name, so nothing was deleted. Type it as it stands above."
    ),
    "owner_only": lazy_gettext("Only the owner of this event can do that. Nothing was changed: please ask them."),
    "owner_stays": lazy_gettext(
        "The owner can't leave the team. Nothing was changed: hand the event over to somebody else first."
    ),
    "owner_not_photographer": lazy_gettext(
        "Only photographers own events, and this person is none here, or their account is disabled. "
        "Nothing was changed: hand the event over to a photographer of the team."
    ),
    "member_unknown": lazy_gettext("This person is not in the team any more. Reload the page to see who is."),
    "in_team_already": lazy_gettext("This photographer is in the team already."),
    "photographer_already": lazy_gettext("This address belongs to a photographer here already."),
    "recovery_code_unknown": lazy_gettext(
        "No account has this code: it may be mistyped, or a newer one was made. Check each character, and try again."
    ),
    "signed_in_otherwise": lazy_gettext(
        "This browser is signed in to another account. If the code is your own, sign out first, and try again."
    ),
    "note_invalid": lazy_gettext("Please keep your message to 240 characters in one paragraph."),
    "email_proven": lazy_gettext("Your address is confirmed already, and stays as it is."),
    "other_account_gone": lazy_gettext(
        "This account is not there any more, or it has no longer your address. Yours is as it was."
    ),
    "mails_enough": lazy_gettext(
        "This address got several mails from us within the hour. Nothing is lost: please try again later."
    ),
    "invitation_unknown": lazy_gettext(
        "We don't know this invitation. If you got several, use the newest mail; else ask for a new one."
    ),
    "invitation_used": lazy_gettext("This invitation was accepted already. Sign in with the account that you made."),
    "invitation_expired": lazy_gettext("This invitation has run out. Ask whoever invited you to send it again."),
    "invitation_revoked": lazy_gettext("This invitation was taken back. Ask whoever invited you for a new one."),
    "sign_in_to_accept": lazy_gettext(
        "This address has an account already. Nothing was changed: sign in to it, and accept then."
    ),
    "cover_missing": lazy_gettext("No picture was chosen. Pick a file or one of the event's photos."),
    "cover_too_large": lazy_gettext("This file is too large for a cover. Please choose one of at most 30 MB."),
    "photo_unknown": lazy_gettext("This photo is no longer among the published ones. Please choose another."),
    "watermark_invalid": lazy_gettext("Please shorten the watermark to 60 characters."),
    "waiting_unsaid": lazy_gettext(
        "Photos wait for approval. Please say what becomes of them; nothing was changed yet."
    ),
    "match_unknown": lazy_gettext("This photo is no longer here. Perhaps the photographer removed it."),
    "alert_decided": lazy_gettext("Somebody in the team has decided about this already. Nothing was changed."),
    "alert_decision_invalid": lazy_gettext("Please choose one of the buttons. Nothing was changed."),
    "verdict_invalid": lazy_gettext("We didn't understand this answer. Please tap yes or not me."),
}

_GENERAL = {
    "invalid": lazy_gettext("Something in the form can't be used as it is. Please check the marked fields."),
    "bad_request": lazy_gettext(
        "We didn't understand this request. Nothing was changed: go back, reload the page and try again."
    ),
    "range_invalid": lazy_gettext("The file has no such part: it is shorter."),
    "json_expected": lazy_gettext("This has to be sent as JSON, with the content type application/json."),
    "form_expected": lazy_gettext("This has to be sent as a form, with the content type multipart/form-data."),
    "method_not_allowed": lazy_gettext("This address can't be used in this way. Nothing was changed."),
    "field_missing": lazy_gettext("This is missing. Please fill it in."),
    "field_invalid": lazy_gettext("This can't be used as it is. Please check it."),
    "cursor_invalid": lazy_gettext("This page mark is not one of ours. Please start the list from its beginning."),
    "status_invalid": lazy_gettext("There is no such status."),
    "forbidden": lazy_gettext("This is not yours to do. If you think it should be, ask the person who runs the event."),
    "not_found": lazy_gettext("There is nothing here, or it isn't yours to see."),
    "conflict": lazy_gettext("This isn't possible just now. Reload the page to see how things stand."),
    "too_large": lazy_gettext("What you sent is too large. Nothing was lost: please send something smaller."),
    "unsupported_type": lazy_gettext(
        "This file is not a picture that we can open. Please choose a JPEG, PNG, WebP, HEIC or AVIF picture."
    ),
    "too_many_requests": lazy_gettext("That was a lot at once. Nothing is lost: wait a minute, then try again."),
    "too_many_guesses": lazy_gettext(
        "Too many tries from your network or for this name were wrong lately. What is right still gets through: check "
        "it letter by letter, wait a few seconds, then try again."
    ),
    "cookies_refused": lazy_gettext(
        "Your browser sent no cookies, and without them we can't keep you signed in. Nothing was lost: allow cookies "
        "for this page, or open it in another browser, and send the form again."
    ),
    "request_done": lazy_gettext("This was done already, and you have signed out since. Sign in to go on."),
    "idempotency_key_invalid": lazy_gettext(
        "The Idempotency-Key header needs 16 to 200 printable ASCII characters, such as a UUID. Nothing was changed."
    ),
    "idempotency_key_reused": lazy_gettext(
        "Another request was sent with this Idempotency-Key. Nothing was changed: take a new key for a new request."
    ),
    "csrf": lazy_gettext("This page has been open for too long. Nothing was lost: reload it and send the form again."),
    "rejected": lazy_gettext("This picture can't be used. Please try another one."),
}

SENTENCES: Mapping[str, LazyString] = MappingProxyType(
    _GENERAL | _WORK | _SERVICES | _PICTURE | _SELFIE | _PEOPLE | _EVENTS
)

ALARM_TITLES: Mapping[str, LazyString] = MappingProxyType(
    {
        "engine_rights": lazy_gettext("Face search lacks rights"),
        "storage_rights": lazy_gettext("The picture store lacks rights"),
        "engine_missing": lazy_gettext("A face collection is gone"),
        "forwarded_addresses": lazy_gettext("A proxy may be hiding the addresses of guests"),
    }
)

ALARMS: Mapping[str, LazyString] = MappingProxyType(
    {
        "engine_rights": lazy_gettext(
            "Amazon Rekognition refuses our calls: a key is wrong or out of date, or a right is missing. Nothing is "
            "lost: photos and selfies are kept and tried again. Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "the machine's role, and that its policy allows these actions."
        ),
        "storage_rights": lazy_gettext(
            "The picture store refuses our calls: the bucket is missing, a key is wrong or out of date, or a right is "
            "missing. What was stored before is not lost; new pictures are not taken until this is mended, and people "
            "are asked to send them later. Check S3_BUCKET, the keys or the machine's role, and that its policy allows "
            "these actions."
        ),
        "engine_missing": lazy_gettext(
            "What Amazon Rekognition kept of an event is gone: somebody deleted a collection, or region or account "
            "were changed. Nothing is lost: it is made anew from the photos and selfies that we keep, which costs "
            "calls again. Check REKOGNITION_REGION, and who else may delete collections."
        ),
        "forwarded_addresses": lazy_gettext(
            "Requests came with a forwarding header (such as X-Forwarded-For), but TRUSTED_PROXIES is 0. If a proxy or "
            "load balancer stands in front of FindMe, all guests share its address here, and their wrong tries are "
            "counted together: set TRUSTED_PROXIES to the number of proxies and restart. If there is none, somebody "
            "sent the header by hand, which has no effect. Nothing is lost; this note goes a day after the last such "
            "request."
        ),
    }
)
"""Alarm → what it means and what ops have to do, for admins."""


def sentence(code: str | None) -> str:
    """The sentence for a code; a code that nobody has written one for still gets a helpful one."""
    found = SENTENCES.get(code or "")
    return str(found) if found is not None else gettext("Something went wrong. Nothing is lost: please try again.")


def alarm_words(name: str) -> tuple[str, str]:
    """Title and sentence of an alarm for admins; one that nobody has written any for is called by its name."""
    return str(ALARM_TITLES.get(name, name)), str(ALARMS.get(name) or sentence(name))


def explain(error: FindMeError) -> str:
    """The sentence for an error: that of its code. Only a wrong setting brings words of its own for people; what else
    stands in an error's detail is a service's answer, for logs and alarms.
    """
    return error.detail if isinstance(error, ConfigurationError) and error.detail else sentence(error.code)


def field_sentences(error: FindMeError) -> dict[str, str]:
    """Field → sentence, for forms and for the API's `fields`."""
    return {field: sentence(code) for field, code in error.fields.items()}
