"""Keeping guests from searching for other people: allowances, alerts for the photographer, and stopped searches.

Nothing here searches or judges a selfie; it says who may go on.
"""
