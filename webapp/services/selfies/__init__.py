"""Selfies: taking them in, judging them in a worker, and whether a picture would do, asked before one joins.

What is found with an accepted selfie is in `matching`; erasing one is in `erasure`, and how many a guest may hand in is
decided in `strangers`.
"""
