"""Azure Resource Manager, as far as the Azure CLI asks it when somebody signs in: the subscriptions.

https://learn.microsoft.com/rest/api/resources/subscriptions/list
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rehearsal.azure.directory import SUBSCRIPTION
from rehearsal.azure.entra import MANAGEMENT, Entra
from rehearsal.azuredevops.identities import TENANT_ID

HOST = "management.azure.com"


def routes(entra: Entra) -> list[Route]:
    """The endpoints.

    Args:
        entra: knows whose token it is.
    """

    async def subscriptions(request: Request) -> Response:
        application = entra.application(request.headers.get("authorization"), MANAGEMENT)
        if application is None:
            error = {"code": "InvalidAuthenticationToken", "message": "The access token is invalid."}
            return JSONResponse({"error": error}, 401)
        return JSONResponse({"value": [_subscription(each) for each in application.subscriptions]})

    return [Route("/subscriptions", subscriptions)]


def _subscription(id_: str) -> dict[str, object]:
    return {
        "id": f"/subscriptions/{id_}",
        "subscriptionId": id_,
        "tenantId": TENANT_ID,
        "displayName": SUBSCRIPTION,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }
