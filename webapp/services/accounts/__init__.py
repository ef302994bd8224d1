"""Accounts: making them, signing in, proving addresses, disabling them.

What an account does at an event (joining, running, uploading) is in the other areas.
"""
