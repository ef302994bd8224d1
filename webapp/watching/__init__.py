"""Watching a folder, for a laptop that a camera is tethered to: new photos go to an event as they are complete.

It speaks to the server through the API with an upload token, so it runs anywhere. A file counts as sent only when the
server says `accepted` or `duplicate`; what was sent stands in a manifest outside the folder.
Nothing here knows of events or photos but what the server answers.
"""
