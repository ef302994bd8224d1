"""What pages show of an event, read in a constant number of queries.

Nothing here decides who sees what (`rules.visibility` does).
"""
