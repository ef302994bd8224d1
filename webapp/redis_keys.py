"""Names in Redis that processes share which don't load the same code."""

ERASURES = "findme:erasures"
"""Changes after every erasure of face data; see `webapp.services.erasure.traces`."""

INSTALLATION = "findme:installation"
"""Holds the id of the one installation that may use this Redis; see `webapp.ops.identity`."""
