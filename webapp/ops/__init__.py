"""What operators ask of an installation from a shell: is it well, what can it be set to, does Amazon's side answer.

A check belongs here where it looks at a running installation from outside its work. What pages or jobs need does not:
that is a service, which this calls.
"""
