"""What service principals sign in with: secrets, which the service shows once, and federation policies.

https://docs.databricks.com/api/workspace/serviceprincipalsecretsproxy: administrators of the workspace make secrets.
https://docs.databricks.com/api/account/serviceprincipalfederationpolicy: administrators of the account make policies;
the rehearsal's account has this one workspace, and its administrators.
"""

import re
import secrets
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from rehearsal.databricks.addresses import is_local
from rehearsal.databricks.calls import Call, Endpoint
from rehearsal.databricks.errors import ApiError, denied, exists, invalid, missing
from rehearsal.databricks.principals import SERVICE_PRINCIPAL
from rehearsal.store import Document, secret_key

ACCOUNT_ID = "3b6f6b0e-5a52-4d6a-9b19-6f0e0a3f7c11"
_SECRET_DAYS = 730
_MAX_SECRETS = 5
_MAX_POLICIES = 20
_POLICY_ID = re.compile(r"[a-z0-9-]{1,63}")
_FIELDS = {"issuer", "audiences", "subject", "subject_claim", "jwks_uri", "jwks_json"}


def create_secret(call: Call) -> Document:
    principal = _principal(call)
    if len(call.store.all("oauth_secret", f"{principal['id']}/")) >= _MAX_SECRETS:
        raise ApiError(400, "RESOURCE_EXHAUSTED", f"A service principal has {_MAX_SECRETS} secrets at the most")
    secret = f"dose{secrets.token_hex(16)}"
    begun = time.time()
    until = begun + _SECRET_DAYS * 24 * 3600
    made: Document = {
        "id": str(uuid4()),
        "secret_hash": secret_key(secret),
        "status": "ACTIVE",
        "create_time": _time(begun),
        "update_time": _time(begun),
        "expire_time": _time(until),
        "until": until,
    }
    call.store.put("oauth_secret", f"{principal['id']}/{made['id']}", made)
    return {**_shown(made), "secret": secret}


def list_secrets(call: Call) -> Document:
    principal = _principal(call)
    return {"secrets": [_shown(each) for each in call.store.all("oauth_secret", f"{principal['id']}/")]}


def delete_secret(call: Call) -> Document:
    principal, id_ = _principal(call), call.path["secret"]
    if not call.store.delete("oauth_secret", f"{principal['id']}/{id_}"):
        raise missing(f"Secret {id_} does not exist")
    return {}


def create_policy(call: Call) -> Document:
    principal = _principal(call)
    id_ = call.query.get("policy_id") or str(uuid4())
    if not _POLICY_ID.fullmatch(id_):
        raise invalid("policy_id has lower-case letters, digits and hyphens alone")
    key = f"{principal['id']}/{id_}"
    known = dict(call.store.items("federation_policy", f"{principal['id']}/"))
    if key in known:
        raise exists(f"Federation policy {id_} already exists")
    if len(known) >= _MAX_POLICIES:
        raise ApiError(400, "RESOURCE_EXHAUSTED", f"A service principal has {_MAX_POLICIES} policies at the most")
    begun = _time(time.time())
    made: Document = {
        "name": f"accounts/{ACCOUNT_ID}/servicePrincipals/{principal['id']}/federationPolicies/{id_}",
        "policy_id": id_,
        "uid": str(uuid4()),
        "service_principal_id": int(principal["id"]),
        "description": call.text("description", default=""),
        "create_time": begun,
        "update_time": begun,
        "oidc_policy": _oidc(call.body.get("oidc_policy")),
    }
    call.store.put("federation_policy", key, made)
    return made


def list_policies(call: Call) -> Document:
    principal = _principal(call)
    return {"policies": call.store.all("federation_policy", f"{principal['id']}/")}


def get_policy(call: Call) -> Document:
    principal, id_ = _principal(call), call.path["policy"]
    found = call.store.get("federation_policy", f"{principal['id']}/{id_}")
    if found is None:
        raise missing(f"Federation policy {id_} does not exist")
    return found


def delete_policy(call: Call) -> Document:
    get_policy(call)
    call.store.delete("federation_policy", f"{call.path['principal']}/{call.path['policy']}")
    return {}


def _principal(call: Call) -> Document:
    if not call.caller.is_admin:
        raise denied("Only administrators may look at or change what a service principal signs in with")
    if call.path.get("account", ACCOUNT_ID) != ACCOUNT_ID:
        raise missing(f"Account {call.path['account']} does not exist")
    found = call.store.get(SERVICE_PRINCIPAL, call.path["principal"])
    if found is None:
        raise missing(f"Service principal {call.path['principal']} does not exist")
    return found


def _oidc(given: Any) -> Document:
    policy = dict(given) if isinstance(given, dict) else {}
    unknown = sorted(set(policy) - _FIELDS)
    if unknown:
        raise invalid(f"oidc_policy has unknown fields: {', '.join(unknown)}")
    for name in ("issuer", "subject"):
        if not isinstance(policy.get(name), str) or not policy[name]:
            raise invalid(f"oidc_policy.{name} must be specified")
    audiences = policy.setdefault("audiences", [ACCOUNT_ID])
    if (
        not isinstance(audiences, list)
        or not audiences
        or not all(isinstance(each, str) and each for each in audiences)
    ):
        raise invalid("oidc_policy.audiences must be a list of texts")
    for name in ("issuer", "jwks_uri"):
        if name in policy and not is_local(policy[name]):
            raise invalid(f"The rehearsal asks nobody but this machine for keys: oidc_policy.{name} is {policy[name]}")
    return {"subject_claim": "sub", **policy}


def _shown(secret: Document) -> Document:
    return {name: value for name, value in secret.items() if name != "until"}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_SECRETS = "/api/2.0/accounts/servicePrincipals/{principal}/credentials/secrets"
_POLICIES = "/api/2.0/accounts/{account}/servicePrincipals/{principal}/federationPolicies"

ENDPOINTS = (
    Endpoint("POST", _SECRETS, create_secret),
    Endpoint("GET", _SECRETS, list_secrets),
    Endpoint("DELETE", f"{_SECRETS}/{{secret}}", delete_secret),
    Endpoint("POST", _POLICIES, create_policy),
    Endpoint("GET", _POLICIES, list_policies),
    Endpoint("GET", f"{_POLICIES}/{{policy}}", get_policy),
    Endpoint("DELETE", f"{_POLICIES}/{{policy}}", delete_policy),
)
