"""Joining an event: enrolling, being admitted, joining again, and accounts that become one.

The selfie that a guest joins with is never judged here, but in `selfies`.
"""
