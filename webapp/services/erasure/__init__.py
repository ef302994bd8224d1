"""Erasing photos, selfies, events and what was computed from them: here, in the store and at the face service.

Nothing here decides that something is to go: people do, and `upkeep` by its rules.
"""
