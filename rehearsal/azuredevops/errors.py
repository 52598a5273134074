"""The service's errors in the service's own shape, and in its own words where they are known.

A message with a TF or VS number is the service's; one without is this stand-in's, where the real one isn't known. So
are statuses and type keys that neither the documentation nor a client's source names.

Every error of the REST interface is a JSON object with `$id`, `innerException`, `message`, `typeName`, `typeKey`,
`errorCode` and `eventId`; clients raise it with its message, and some decide by `typeKey`.
"""

import json
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from rehearsal.store import Document

_NAMESPACES = {
    "Project": "Microsoft.TeamFoundation.Core.WebApi",
    "Git": "Microsoft.TeamFoundation.Git.Server",
    "Policy": "Microsoft.TeamFoundation.Policy.WebApi",
    "Definition": "Microsoft.TeamFoundation.Build.WebApi",
    "Build": "Microsoft.TeamFoundation.Build.WebApi",
    "Environment": "Microsoft.TeamFoundation.DistributedTask.WebApi",
    "TaskAgent": "Microsoft.TeamFoundation.DistributedTask.WebApi",
    "Graph": "Microsoft.VisualStudio.Services.Graph",
}


class ServiceError(Exception):
    """An answer that isn't a success.

    Args:
        status: of the HTTP answer.
        message: with the TF or VS number where the service has one.
        type_key: the name of the exception's class in the service.
        headers: of the answer.
    """

    def __init__(
        self, status: int, message: str, type_key: str = "VssServiceException", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type_key = type_key
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer itself."""
        return JSONResponse(_body(self.message, self.type_key), self.status, self.headers)


def _body(message: str, type_key: str) -> Document:
    namespace = next((there for start, there in _NAMESPACES.items() if type_key.startswith(start)), None)
    namespace = namespace or "Microsoft.VisualStudio.Services.Common"
    return {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": f"{namespace}.{type_key}, {namespace}",
        "typeKey": type_key,
        "errorCode": 0,
        "eventId": 3000,
    }


def invalid(message: str, type_key: str = "InvalidArgumentValueException") -> ServiceError:
    """400: the request says something that can't be."""
    return ServiceError(400, message, type_key)


def missing_value(name: str) -> ServiceError:
    """400: a value that the request must have isn't there. .NET's words, which the service passes on."""
    return ServiceError(400, f"Value cannot be null.\r\nParameter name: {name}", "ArgumentNullException")


def project_not_found(given: str, *, by_id: bool) -> ServiceError:
    """404 for a project that doesn't exist or that this user may not see; the service tells nobody which."""
    if by_id:
        message = (
            f"VS800075: The project with id 'vstfs:///Classification/TeamProject/{given}' does not exist, "
            "or you do not have permission to access it."
        )
    else:
        message = (
            f"TF200016: The following project does not exist: {given}. Verify that the name of the project is correct "
            "and that the project exists on the specified Azure DevOps Server."
        )
    return ServiceError(
        404, message, "ProjectDoesNotExistException" if by_id else "ProjectDoesNotExistWithNameException"
    )


def repository_not_found(given: str) -> ServiceError:
    """404 for a repository that doesn't exist or that this user may not read."""
    return ServiceError(
        404,
        f"TF401019: The Git repository with name or identifier {given} does not exist or you do not have permissions "
        "for the operation you are attempting.",
        "GitRepositoryNotFoundException",
    )


def stale_reference(name: str) -> ServiceError:
    """409 for a ref that isn't where the request says it is. The provider repeats a push on these words."""
    return ServiceError(
        409,
        f"TF401028: The reference '{name}' has already been updated by another client, so you cannot update it. "
        "Please try again.",
        "GitReferenceStaleException",
    )


def lacks_permission(account: str, permission: str) -> ServiceError:
    """403 for somebody whose rights don't suffice.

    Args:
        account: who asked.
        permission: what the permission is called in the user interface.
    """
    return ServiceError(
        403,
        f"TF50309: The following account does not have sufficient permissions to complete the operation: {account}. "
        f"The following permissions are needed to perform this operation: {permission}.",
        "AccessCheckException",
    )


def lacks_git_permission(identity: str, permission: str, scope: str) -> ServiceError:
    """403 for a git operation; the message names the permission as the security namespace does."""
    return ServiceError(
        403,
        f"TF401027: You need the Git '{permission}' permission to perform this action. "
        f"Details: identity '{identity}', scope '{scope}'.",
        "GitNeedsPermissionException",
    )


_GATEWAY = (
    "<!DOCTYPE html><html><head><title>Azure DevOps Services | {title}</title></head>"
    "<body><h1>{title}</h1><p>The service is currently unavailable. HTTP Error {status}.</p></body></html>"
)
_TITLES = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def error_page(status: int) -> tuple[bytes, str]:
    """How the service's front end words a status that no part of the service made.

    The gateway answers 502, 503 and 504 with a page of HTML; its exact text isn't documented, only that it is no
    JSON. 429 has the words of https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits.
    """
    if status in _TITLES:
        return _GATEWAY.format(title=_TITLES[status], status=status).encode(), "text/html"
    if status == 429:
        message, type_key = (
            "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource "
            "'Concurrency' in namespace 'User'.",
            "RequestBlockedException",
        )
    elif status == 401:
        message, type_key = (
            "TF400813: The user '' is not authorized to access this resource.",
            "UnauthorizedRequestException",
        )
    else:
        message, type_key = "TF400898: An Internal Error Occurred. Activity Id: 0.", "Exception"
    return json.dumps(_body(message, type_key)).encode(), "application/json"
