"""A local stand-in of Azure DevOps: the REST interface that the provider and Microsoft's clients use, and real git.

Each area of the service is a module that publishes its locations (see `routing`): `core`, `graph`, `identity_rest`,
`security`, `git_rest`, `policy`, `build`, `runs`, `environments`, `checks`, `approvals`, `pipeline_permissions`,
`agents`, `service_endpoints`, `variable_groups`, `artifacts`, `tags`, `retention`, `test_results`, `test_reports`,
`discovery`. `gates` holds stages by their checks; `git_http` serves clone, fetch and push; `push_rules` decides what
may be pushed; `permissions` and `identities` say who may do what. A new area is a module more, imported by `app`.

Deliberately not there: `Organization/Collections/me` (the provider asks a fixed host for it), TFVC, teams besides the
default one. Runs of pipelines wait for ever, unless `create_app` is asked to carry them out.
"""

from rehearsal.azuredevops.app import create_app

__all__ = ["create_app"]
