"""The errors of the service, in its three shapes."""

from typing import Any
from uuid import uuid4


class ApiError(Exception):
    """An error of the REST API: `{"error_code", "message", "details"}`.

    Args:
        status: the HTTP status.
        code: the service's own code. The front end's own refusals carry the status as a number here
            (github.com/databricks/databricks-sdk-go/issues/1061 and 917).
        message: for people.
    """

    def __init__(self, status: int, code: str | int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, Any]:
        info = {"@type": "type.googleapis.com/google.rpc.RequestInfo", "request_id": str(uuid4()), "serving_data": ""}
        return {"error_code": self.code, "message": self.message, "details": [info]}


class ScimError(Exception):
    """An error of the SCIM API, as in RFC 7644, section 3.12; the status is a string in it.

    Args:
        status: the HTTP status.
        detail: for people.
        scim_type: the RFC's keyword for the kind of mistake, where there is one.
    """

    def __init__(self, status: int, detail: str, scim_type: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.scim_type = scim_type

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "detail": self.detail,
            "status": str(self.status),
        }
        if self.scim_type:
            body["scimType"] = self.scim_type
        return body


class OAuthError(Exception):
    """A refusal of the token endpoint, as in RFC 6749, section 5.2.

    Args:
        code: the RFC's word.
        description: for people.
        status: the HTTP status.
    """

    def __init__(self, code: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.code = code
        self.description = description

    def body(self) -> dict[str, Any]:
        return {"error": self.code, "error_description": self.description}


def invalid(message: str) -> ApiError:
    """A parameter is wrong."""
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)


def missing(message: str) -> ApiError:
    """There is no such thing."""
    return ApiError(404, "RESOURCE_DOES_NOT_EXIST", message)


def exists(message: str) -> ApiError:
    """There is such a thing already."""
    return ApiError(400, "RESOURCE_ALREADY_EXISTS", message)


def denied(message: str) -> ApiError:
    """The caller may not."""
    return ApiError(403, "PERMISSION_DENIED", message)
