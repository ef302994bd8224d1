"""What can be done: a folder an area, a use a file. Services flush; the caller's unit of work commits.

They never touch a request or a session, render nothing, and speak to engines, stores and the queue by their protocols.
"""
