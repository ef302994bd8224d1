"""What ops need: finding lost work, cleaning up, costs, health, and answers after a leak.

Nothing here is needed to answer a guest.
"""
