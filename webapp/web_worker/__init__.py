"""The web worker of gunicorn that keeps slow clients away from its threads.

It speaks HTTP for any WSGI app and knows nothing of FindMe but its settings.
"""
