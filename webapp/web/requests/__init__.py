"""Requests and answers as such: parsing bodies and queries, forms, and errors as pages or JSON.

Nothing here asks who sent a request.
"""
