"""Who sends a request and what they may: sessions, permissions, limits of guesses, devices, networks, security headers.

It decides whether a request is answered; what the answer shows is never decided here.
"""
