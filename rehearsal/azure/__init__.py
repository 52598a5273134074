"""A stand-in of what a pipeline needs of Azure: Microsoft Entra ID, subscriptions, and storage for the stacks' state.

It was built for the real clients, which know Azure by its names and speak nothing but TLS: `proxy.py` answers for them.
Deliberately not there: people who sign in, secrets and certificates of applications, Microsoft Graph, resources.
"""

from rehearsal.azure.app import create_app
from rehearsal.azure.directory import Application, Trust, load, save
from rehearsal.azure.entra import authority

__all__ = ["Application", "Trust", "authority", "create_app", "load", "save"]
