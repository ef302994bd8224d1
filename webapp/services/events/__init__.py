"""Events: making and changing them, their team, publishing, closing, and until when people can join.

What becomes of their photos, guests and matches is in the other areas.
"""
