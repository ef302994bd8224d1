"""`flask --app wsgi findme doctor`: is this installation well, and if not, what mends it.

A check belongs here that looks at one part and says ok, warn or fail. It changes nothing but probes that it removes
again, needs no app, and never raises: what it can't find out is a finding.
"""
