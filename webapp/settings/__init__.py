"""The one frozen `Settings` of a process, and the only code that reads the environment.

A default, a limit between two settings, or another way to give one belongs here. What a setting does is in the code
that uses it; how an operator learns of it is `webapp.ops.settings_page`.
"""

from webapp.settings.fields import ROOT, Settings

MEGABYTE = 1024 * 1024

__all__ = ["MEGABYTE", "ROOT", "Settings"]
