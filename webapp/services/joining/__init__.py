"""Joining an event: enrolling, being admitted, handing in selfies and having them judged, and moving between accounts.

What is found with an accepted selfie is in `matching`.
"""
