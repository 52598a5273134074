"""A local stand-in of Azure DevOps: the REST interface that the provider and Microsoft's clients use, and real git."""

from rehearsal.azuredevops.app import create_app

__all__ = ["create_app"]
