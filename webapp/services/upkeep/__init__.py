"""What ops need: cleaning up, costs, health, and answers after a leak. Lost work is found in `recovery`.

Nothing here is needed to answer a guest.
"""
