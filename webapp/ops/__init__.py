"""What operators ask of an installation from a shell, and what each process asks of it before it starts.

A check belongs here where it looks at the parts of an installation from outside their work. What pages or jobs need
does not: that is a service, which this may call.
"""
