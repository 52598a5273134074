"""Azure DevOps' REST API for the commands: one client, which repeats what may be repeated, and one error.

https://learn.microsoft.com/rest/api/azure/devops. The official client (`azure-devops`) repeats nothing and is in beta
since 2019, so this is `requests` with the service's documented answers to a busy or failing front end
(https://learn.microsoft.com/azure/devops/integrate/concepts/rate-limits).
"""

import os
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from delivery.console import Progress, UnusableError
from delivery.later import requests

API_VERSION = "7.1"
# Azure DevOps, as Entra knows it.
SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
ATTEMPTS = 8
LONGEST_WAIT_SECONDS = 30.0
# A service that asks for a longer wait than this is not waited for.
LONGEST_TOLD_WAIT_SECONDS = 300.0
TIMEOUT_SECONDS = (10.0, 100.0)  # to connect; between two bytes of the answer
CHUNK_BYTES = 1 << 20

# Answers of the front end that pass by themselves. After 429 and 503 nothing was done, so any request is repeated.
NOTHING_WAS_DONE = (429, 503)
PASSING = (*NOTHING_WAS_DONE, 500, 502, 504)
# Instead of 401 the service can show a token that it doesn't know the page for signing in, or send it there.
SIGN_IN_PAGES = (203, 302)
# Where the service keeps artifacts, and its other parts; nowhere else does the token go.
SERVICE_HOSTS = (".visualstudio.com", ".dev.azure.com")

Query = Mapping[str, str | int | bool]


class AzureDevOpsError(UnusableError):
    """A request that came to nothing: exit code 2 unless the command knows better.

    `status` is the answer's, None if there was none. `message` is the service's. `type_key` is the service's name of
    the error, such as `BuildNotFoundException`. `uncertain` is true when the service may have done the work.
    """

    def __init__(
        self, what: str, message: str, *, status: int | None = None, type_key: str = "", uncertain: bool = False
    ) -> None:
        self.status = status
        self.message = message
        self.type_key = type_key
        self.uncertain = uncertain
        told = f"{status}, {message}" if status else message
        super().__init__("Azure DevOps", f"{what}: {told}", _remedy(status, uncertain=uncertain))


class AzureDevOps:
    """A project of an organisation.

    Args:
        organization_url: such as `https://dev.azure.com/contoso`.
        project: name or id of the project.
        token: a personal access token or a pipeline's `System.AccessToken`; or what gives an Entra token.
        progress: hears of waits.
        attempts: how often a request is tried at the most.
        wait: sleeps so many seconds.
    """

    def __init__(
        self,
        organization_url: str,
        project: str,
        token: str | Callable[[], str],
        *,
        progress: Progress | None = None,
        attempts: int = ATTEMPTS,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.organization_url = organization_url.rstrip("/")
        self.project = project
        self._token = token
        self._progress = progress
        self._attempts = attempts
        self._wait = wait
        self._session = requests.Session()
        self._host = urlsplit(self.organization_url)

    @classmethod
    def from_environment(
        cls,
        project: str | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        attempts: int = ATTEMPTS,
    ) -> "AzureDevOps":
        """The organisation, the project and the credential that the environment names.

        Args:
            project: name or id; else the one of the pipeline that runs.
            environment: AZDO_ORG_SERVICE_URL or SYSTEM_COLLECTIONURI; SYSTEM_TEAMPROJECT; SYSTEM_ACCESSTOKEN or
                AZDO_PERSONAL_ACCESS_TOKEN. Without either of these `az login` counts.
            progress, attempts: as in the class.

        Raises:
            UnusableError: organisation or project isn't named.
        """
        known = os.environ if environment is None else environment
        url = known.get("AZDO_ORG_SERVICE_URL") or known.get("SYSTEM_COLLECTIONURI")
        if not url:
            remedy = "set it to the organisation's address, such as https://dev.azure.com/contoso"
            raise UnusableError("AZDO_ORG_SERVICE_URL", "it isn't set", remedy)
        project = project or known.get("SYSTEM_TEAMPROJECT")
        if not project:
            remedy = "name the project; in a pipeline SYSTEM_TEAMPROJECT has it"
            raise UnusableError("--project-name", "no project of Azure DevOps is named", remedy)
        token = known.get("SYSTEM_ACCESSTOKEN") or known.get("AZDO_PERSONAL_ACCESS_TOKEN")
        return cls(url, project, token or _signed_in_by_hand, progress=progress, attempts=attempts)

    def at(self, url: str) -> "AzureDevOps":
        """The same client for a part of the service that has an address of its own, as `resourceAreas` tells it.

        Raises:
            AzureDevOpsError: the address isn't one of the service.
        """
        self._check_address(url)
        other = copy(self)
        other.organization_url = url.rstrip("/")
        return other

    def get(self, path: str, *, query: Query | None = None, api_version: str = API_VERSION) -> Any:
        """Reads; repeated after every passing fault.

        Args:
            path: below `{organisation}/{project}/_apis/`; with a slash in front below `{organisation}/_apis/`.
            query: without `api-version`.
            api_version: such as `7.1-preview.1`.

        Raises:
            AzureDevOpsError: no answer, or another than success.
        """
        return _document(f"GET {path}", self._ask("GET", path, query, api_version, repeat=True))

    def get_all(self, path: str, *, query: Query | None = None, api_version: str = API_VERSION) -> Iterator[Any]:
        """Reads a list, page after page."""
        more: dict[str, str | int | bool] = dict(query or {})
        while True:
            answer = self._ask("GET", path, more, api_version, repeat=True)
            yield from _document(f"GET {path}", answer)["value"]
            following = answer.headers.get("x-ms-continuationtoken")
            if not following:
                return
            more["continuationToken"] = following

    def post(
        self, path: str, json: Any, *, query: Query | None = None, api_version: str = API_VERSION, repeat: bool = False
    ) -> Any:
        """Creates or starts. Repeated when the service says that it did nothing; with `repeat` after every fault."""
        return self._change("POST", path, json, query, api_version, repeat=repeat)

    def patch(
        self, path: str, json: Any, *, query: Query | None = None, api_version: str = API_VERSION, repeat: bool = False
    ) -> Any:
        """Changes a part; otherwise as `post`. `repeat` is right when a second time changes nothing more."""
        return self._change("PATCH", path, json, query, api_version, repeat=repeat)

    def put(self, path: str, json: Any, *, query: Query | None = None, api_version: str = API_VERSION) -> Any:
        """Sets; a second time changes nothing, so it is repeated after every passing fault."""
        return self._change("PUT", path, json, query, api_version, repeat=True)

    def delete(self, path: str, *, query: Query | None = None, api_version: str = API_VERSION) -> None:
        """Removes. What is gone already is no error."""
        try:
            self._change("DELETE", path, None, query, api_version, repeat=True)
        except AzureDevOpsError as error:
            if error.status != requests.codes.not_found:
                raise

    def download(self, url: str, target: Path) -> None:
        """Writes what stands at an address of the service into a file; what is cut off is begun again.

        Raises:
            AzureDevOpsError: it can't be had, or the address isn't one of the service.
        """
        self._check_address(url)

        def keep(answer: "requests.Response") -> None:
            with target.open("wb") as file:
                for chunk in answer.iter_content(CHUNK_BYTES):
                    file.write(chunk)

        self._send("GET", url, f"GET {urlsplit(url).path}", repeat=True, stream=True, keep=keep)

    def download_artifact(self, build_id: int, name: str, folder: Path) -> None:
        """Puts the files of a run's artifact into a folder.

        Args:
            build_id: the run's id.
            name: the artifact's.
            folder: made, or empty before.

        Raises:
            AzureDevOpsError: the run or its artifact is gone, or it can't be had.
        """
        found = self.get(f"build/builds/{build_id}/artifacts", query={"artifactName": name})
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            packed, files = Path(beside) / "packed.zip", Path(beside) / "files"
            self.download(found["resource"]["downloadUrl"], packed)
            try:
                with zipfile.ZipFile(packed) as archive:
                    archive.extractall(files)
            except (zipfile.BadZipFile, zlib.error) as error:
                raise AzureDevOpsError(f"artifact '{name}' of run {build_id}", f"no zip file ({error})") from None
            (files / name).replace(folder)  # they are in a folder of the artifact's name

    def _check_address(self, url: str) -> None:
        """The token goes to the service and to nobody else."""
        host = urlsplit(url)
        own = (host.scheme, host.netloc) == (self._host.scheme, self._host.netloc)
        if not own and not (host.scheme == "https" and (host.hostname or "").endswith(SERVICE_HOSTS)):
            raise AzureDevOpsError(f"the address {host.scheme}://{host.netloc}", "not one of the service")

    def _change(self, method: str, path: str, json: Any, query: Query | None, api_version: str, *, repeat: bool) -> Any:
        answer = self._ask(method, path, query, api_version, repeat=repeat, json=json)
        return _document(f"{method} {path}", answer) if answer.content else None

    def _ask(
        self, method: str, path: str, query: Query | None, api_version: str, *, repeat: bool, json: Any = None
    ) -> "requests.Response":
        area = "" if path.startswith("/") else "/" + quote(self.project, safe="")
        url = f"{self.organization_url}{area}/_apis/{path.lstrip('/')}"
        told = {name: str(value).lower() if isinstance(value, bool) else value for name, value in (query or {}).items()}
        # A space as %20: only some parts of the service take a plus for one.
        text = "&".join(f"{quote(name)}={quote(str(value), safe='')}" for name, value in told.items())
        url += f"?{text}&" if text else "?"
        return self._send(method, f"{url}api-version={api_version}", f"{method} {path}", repeat=repeat, json=json)

    def _send(
        self,
        method: str,
        url: str,
        what: str,
        *,
        repeat: bool,
        json: Any = None,
        stream: bool = False,
        keep: "Callable[[requests.Response], None] | None" = None,
    ) -> "requests.Response":
        """One request, tried until it succeeds, or fails for good."""
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            pause = min(LONGEST_WAIT_SECONDS, 2.0 ** (attempt - 1))
            try:
                answer = self._session.request(
                    method,
                    url,
                    json=json,
                    auth=self._signed,  # and not a header, in whose place requests would put what a .netrc file says
                    headers={"Accept": "application/json", "X-TFS-FedAuthRedirect": "Suppress"},
                    timeout=TIMEOUT_SECONDS,
                    allow_redirects=stream,
                    stream=stream,
                )
                if answer.status_code < 300 and answer.status_code not in SIGN_IN_PAGES:
                    if keep:
                        keep(answer)
                    return answer
            except requests.RequestException as error:
                # A connection that was never made has carried no request.
                unsent = isinstance(error, requests.ConnectTimeout) or "NewConnectionError" in str(error)
                if last or not (repeat or unsent):
                    uncertain = not (unsent or method == "GET")
                    raise AzureDevOpsError(what, _words(error), uncertain=uncertain) from None
                told = "doesn't answer"
            else:
                refused, told_wait = _refused(what, answer), _told_wait(answer)
                answer.close()
                passing = answer.status_code in (PASSING if repeat else NOTHING_WAS_DONE)
                if last or not passing or (told_wait or 0) > LONGEST_TOLD_WAIT_SECONDS:
                    raise refused
                pause = pause if told_wait is None else told_wait
                told = f"answers {answer.status_code}"
            if self._progress:
                self._progress.step(f"Azure DevOps {told}; once more in {pause:.0f} s")
            self._wait(pause)
        raise AssertionError("the last attempt returns or raises")

    def _signed(self, request: "requests.PreparedRequest") -> "requests.PreparedRequest":
        if isinstance(self._token, str):
            signed: requests.PreparedRequest = requests.auth.HTTPBasicAuth("", self._token)(request)
            return signed
        request.headers["Authorization"] = f"Bearer {self._token()}"
        return request


def _signed_in_by_hand() -> str:
    from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415 - half a second that few runs need

    try:
        return _token_of_az()()
    except ClientAuthenticationError as error:
        found = f"it isn't set, and `az` gives no token ({' '.join(str(error).split())})"
        remedy = "set it to a personal access token, or `az login`; in a pipeline map SYSTEM_ACCESSTOKEN"
        raise UnusableError("AZDO_PERSONAL_ACCESS_TOKEN", found, remedy) from None


@cache
def _token_of_az() -> Callable[[], str]:
    """Keeps the token until it is about to end."""
    from azure.identity import AzureCliCredential, get_bearer_token_provider  # noqa: PLC0415 - as above

    return get_bearer_token_provider(AzureCliCredential(), SCOPE)


def _document(what: str, answer: "requests.Response") -> Any:
    try:
        return answer.json()
    except ValueError:
        raise AzureDevOpsError(what, "an answer that isn't JSON", status=answer.status_code) from None


def _refused(what: str, answer: "requests.Response") -> AzureDevOpsError:
    status = answer.status_code
    if status in SIGN_IN_PAGES:
        return AzureDevOpsError(what, "the page for signing in", status=401)
    try:
        document = answer.json()
        message, type_key = str(document["message"]), str(document.get("typeKey") or "")
    except (ValueError, KeyError, TypeError, AttributeError, requests.RequestException):
        message, type_key = answer.reason or "no reason given", ""
    uncertain = status in PASSING and status not in NOTHING_WAS_DONE and answer.request.method != "GET"
    return AzureDevOpsError(what, " ".join(message.split()), status=status, type_key=type_key, uncertain=uncertain)


def _told_wait(answer: "requests.Response") -> float | None:
    """Seconds of the header Retry-After, which has a number or a date."""
    told = answer.headers.get("Retry-After", "")
    if told.strip().isdecimal():
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return None


def _words(error: Exception) -> str:
    """A broken connection in a few words: those of `requests` name objects in memory."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    innermost: BaseException = error
    while innermost.__context__:
        innermost = innermost.__context__
    return str(getattr(innermost, "strerror", None) or innermost)


def _remedy(status: int | None, *, uncertain: bool) -> str:
    if uncertain:
        return "look whether it was done all the same, then repeat"
    if status == requests.codes.unauthorized:
        return "renew the token, or give one of this organisation"
    if status == requests.codes.forbidden:
        return "give this identity the right that is named"
    if status is None or status in PASSING:
        return "see whether the service is up and can be reached, then repeat"
    return "correct what the message names"
