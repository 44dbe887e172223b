"""The verbs of a request's life, for those who ask and those who answer, each written once."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from exchange.client import calls, frames, proofs, transfer, uploading
from exchange.client.core import Core, is_passing
from exchange.client.documents import (
    Explanation,
    File,
    Grant,
    Offering,
    Request,
    RequestStep,
    Usage,
)
from exchange.client.errors import NotASandbox, NotReachable, Refused, Undecided
from exchange.client.flow import Flow, Pause
from exchange.client.proofs import Proof
from exchange.client.transfer import Progress

Has = TypeVar("Has", Offering, Request, Grant, File)
Action = Literal["read", "call"]
FIRST_POLL, LONGEST_POLL = 0.25, 20.0
TRIAL = "trial"
ACTIONS: Mapping[str, tuple[Action, ...]] = {
    "dataset": ("read",),
    "compute": ("call",),
    "technology": ("call", "read"),
}


class Verbs(Core):
    """Each verb as steps: see the classes that take them, Exchange and AsyncExchange."""

    # --- looking

    def offering(self, offering: Offering | str) -> Flow[Offering]:
        """Return an offering as it is now."""
        return Offering.of((yield from self.get(f"/v1/offerings/{_id(offering)}")))

    def explain(
        self,
        offering: Offering | str,
        *,
        purpose: str,
        actions: Sequence[Action] | None = None,
        days: int | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Flow[Explanation]:
        """Say whether a request would be permitted, and what would make it a yes. Asks nobody.

        `attributes` are what you could change of your own organisation, such as
        `{"headcount": {"value": 40, "evidence": "verified"}}`.
        """
        body = {
            "offering_id": _id(offering),
            "purpose": purpose,
            "actions": None if actions is None else list(actions),
            "days": days,
            "attributes": None if attributes is None else dict(attributes),
        }
        given = {name: value for name, value in body.items() if value is not None}
        return Explanation.of((yield from self.post("/v1/policy/explain", given)))

    # --- asking

    def request(
        self,
        offering: Offering | str,
        *,
        purpose: str,
        days: int = 30,
        actions: Sequence[Action] = ("read",),
        form: Mapping[str, Any] | None = None,
        accept_terms: bool | str = False,
    ) -> Flow[Request]:
        """Ask for access. Raises Refused, with reasons and remedies, where the policy says no.

        `accept_terms` is the digest of the terms that you accept (`offering.terms_digest`), or True
        for the terms as they are now. The answer may wait for approvals: see `wait`.
        """
        body = {
            "offering_id": _id(offering),
            "purpose": purpose,
            "actions": list(actions),
            "days": days,
        }
        body |= yield from self._accepted(offering, form, accept_terms)
        return Request.of((yield from self.post("/v1/access-requests", body)))

    def try_out(self, offering: Offering | str) -> Flow[Request]:
        """Ask for a sandbox as a trial: for all its days, to do all that its kind does.

        Anyone registered is given it at once. Raises NotASandbox, and asks nothing, for another
        offering; Refused like `request`. Asked again, the same grant is the answer.
        """
        shown = offering
        if not isinstance(shown, Offering):
            shown = yield from self.offering(shown)
        if not shown.sandbox:
            raise NotASandbox(f"{shown.id} is no sandbox: it is asked for like others.")
        actions = ACTIONS.get(shown.kind, ("read",))
        return (yield from self.request(shown, purpose=TRIAL, days=shown.max_days, actions=actions))

    def renew(
        self,
        grant: Grant | str,
        *,
        days: int,
        form: Mapping[str, Any] | None = None,
        accept_terms: bool | str = False,
    ) -> Flow[Request]:
        """Ask for a later end of a grant; once permitted, the same grant goes on."""
        body: dict[str, Any] = {"days": days}
        offering = grant.offering_id if isinstance(grant, Grant) else None
        if accept_terms is True and offering is None:
            offering = (yield from self.grant(grant)).offering_id
        body |= yield from self._accepted(offering or "", form, accept_terms)
        return Request.of((yield from self.post(f"/v1/grants/{_id(grant)}/renew", body)))

    def _accepted(
        self, offering: Offering | str, form: Mapping[str, Any] | None, accept_terms: bool | str
    ) -> Flow[dict[str, Any]]:
        given: dict[str, Any] = {} if form is None else {"form": dict(form)}
        if accept_terms is True:
            shown = offering
            if not isinstance(shown, Offering):
                shown = yield from self.offering(shown)
            accept_terms = shown.terms_digest or ""
        return given | ({"accepted_terms": accept_terms} if accept_terms else {})

    def wait(self, request: Request | str, *, timeout: float = 3600) -> Flow[Request]:
        """Wait until a request is decided or waits for you; raises Undecided after `timeout` s.

        It waits for you when its platform asked something: `answer`, then wait again.
        """
        until, pause = time.monotonic() + timeout, FIRST_POLL
        while True:
            try:
                found = yield from self.request_by_id(request)
            except (NotReachable, Refused) as error:
                if not is_passing(error) or time.monotonic() >= until:
                    raise
            else:
                waits = found.waiting
                mine = waits is not None and waits.organisation_id == self.profile.organisation_id
                if found.is_decided or (mine and found.provider_id != found.consumer_id):
                    return found
            left = until - time.monotonic()
            if left <= 0:
                raise Undecided(f"{_id(request)} was not decided within {timeout:g} seconds.")
            yield Pause(min(pause, left))
            pause = min(pause * 1.5, LONGEST_POLL)

    def request_by_id(self, request: Request | str) -> Flow[Request]:
        """Return a request as it is now."""
        return Request.of((yield from self.get(f"/v1/access-requests/{_id(request)}")))

    def _do(self, request: Request | str, verb: str, body: Mapping[str, Any]) -> Flow[Request]:
        path = f"/v1/access-requests/{_id(request)}/{verb}"
        return Request.of((yield from self.post(path, body)))

    def answer(
        self, request: Request | str, text: str, *, form: Mapping[str, Any] | None = None
    ) -> Flow[Request]:
        """Answer what you were asked, with the form filled in anew where that was wanted.

        Whoever approved before approves anew where that changes the form.
        """
        body = {"text": text} if form is None else {"text": text, "form": dict(form)}
        return (yield from self._do(request, "answer", body))

    def comment(self, request: Request | str, text: str) -> Flow[Request]:
        """Say something that asks for nothing."""
        return (yield from self._do(request, "comment", {"text": text}))

    def withdraw(self, request: Request | str, text: str | None = None) -> Flow[Request]:
        """Take a request back that is not decided."""
        return (yield from self._do(request, "withdraw", _text(text)))

    def appeal(self, request: Request | str, text: str) -> Flow[Request]:
        """Answer a refusal or a revocation: your words stand in the log, as a commitment."""
        return (yield from self._do(request, "appeal", {"text": text}))

    # --- answering

    def approve(self, request: Request | str, text: str | None = None) -> Flow[Request]:
        """Approve a request, as a member with the role approver.

        A `Request` is approved as it was read, or not at all: a form that was changed since is
        refused (409 `form_changed`).
        """
        read = request.form_digest if isinstance(request, Request) else None
        named = {"form_digest": read} if read is not None else {}
        return (yield from self._do(request, "approve", {**_text(text), **named}))

    def reject(self, request: Request | str, text: str) -> Flow[Request]:
        """Reject a request, and say why."""
        return (yield from self._do(request, "reject", {"text": text}))

    def ask_back(self, request: Request | str, text: str) -> Flow[Request]:
        """Ask the applicant something; the request waits for its answer."""
        return (yield from self._do(request, "ask", {"text": text}))

    def upload(
        self,
        file: Path | str,
        name: str | None = None,
        *,
        connection: str | None = None,
        progress: Progress | None = None,
    ) -> Flow[File]:
        """Upload a file for offerings: to the exchange, or to the S3 store of a connection.

        What was cut goes on where it ended: in the same call with a pause between attempts, and in
        the next call with the same bytes and name. Raises NotAsPublished where other bytes arrived.
        """
        path = Path(file)
        return (yield from uploading.upload(self, path, name or path.name, progress, connection))

    def publish(
        self,
        terms: Mapping[str, Any],
        file: Path | str | None = None,
        *,
        progress: Progress | None = None,
    ) -> Flow[Offering]:
        """Upload a dataset's file, if one is given, and publish an offering of these terms."""
        document = dict(terms)
        if file is not None:
            stored = yield from self.upload(file, progress=progress)
            document["source"] = {"connector": "files", "path": stored.name}
        draft = yield from self.post("/v1/offerings", document)
        path = f"/v1/offerings/{Offering.of(draft).id}/publish"
        return Offering.of((yield from self.post(path)))

    def withdraw_offering(self, offering: Offering | str) -> Flow[Offering]:
        """Withdraw an offering: no new grants; those that stand go on."""
        return Offering.of((yield from self.post(f"/v1/offerings/{_id(offering)}/withdraw")))

    # --- what was granted

    def grant(self, grant: Grant | str) -> Flow[Grant]:
        """Return a grant as it is now."""
        return Grant.of((yield from self.get(f"/v1/grants/{_id(grant)}")))

    def usage(self, grant: Grant | str) -> Flow[Usage]:
        """Return what was used of a grant, and what is left of it."""
        return Usage.of((yield from self.get(f"/v1/grants/{_id(grant)}/usage")))

    def call(
        self,
        grant: Grant | str,
        path: str,
        *,
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        on_piece: calls.OnPiece | None = None,
        timeout: float | None = None,
    ) -> Flow[calls.Called]:
        """Call a platform's service under a grant of compute or technology.

        `on_piece` takes the answer as it comes, such as server-sent events; `timeout` is the
        longest silence in seconds, else as long as the offering allows. Raises Refused for what the
        grant does not allow (any more), ServiceRefused for what the service itself does not,
        CallCut for an answer that broke off, each with what would help. A call is never repeated:
        it may have been counted.
        """
        return (
            yield from calls.call(
                self,
                _id(grant),
                path,
                method=method,
                params=params,
                json=json,
                content=content,
                headers=headers,
                on_piece=on_piece,
                timeout=timeout,
            )
        )

    def files(self, grant: Grant | str) -> Flow[tuple[File, ...]]:
        """List what a grant delivers."""
        return (yield from transfer.listed(self, _id(grant))).objects

    def download(
        self, grant: Grant | str, folder: Path | str = ".", *, progress: Progress | None = None
    ) -> Flow[tuple[Path, ...]]:
        """Download every file of a grant into a folder, and return where they are.

        A file appears under its name when its checksum is right. What was cut goes on where it
        ended: in the same call with a pause between attempts, and in the next call.
        `progress` is called with a file's name, the bytes that are here and those that there are.
        """
        done = yield from transfer.download(self, _id(grant), Path(folder), progress)
        return tuple(path for path, _ in done)

    def read(
        self, grant: Grant | str, name: str | None = None, *, as_: frames.As = "pandas"
    ) -> Flow[Any]:
        """Read what a grant delivers: a pandas.DataFrame, a pyarrow.Table or a DuckDB relation.

        Parquet, CSV, Arrow IPC and JSON Lines, by the file's ending; without a name all files, one
        below the other. Raises MissingExtra where a package is missing.
        """
        return (yield from frames.read(self, _id(grant), name, as_))

    def receipts(
        self, *of: Request | Grant | RequestStep | str, folder: Path | str | None = None
    ) -> Flow[tuple[Proof, ...]]:
        """Fetch receipts and verify them by the profile's log key; raises NotProved.

        Of these requests, grants, steps or events (evt_…), or of all your requests and grants:
        what was decided, and how it was closed or revoked.
        With a folder, each is written there as a file that `exchange verify` reads.
        """
        named = ((each,) if isinstance(each, str) else each.events for each in of)
        events = list(dict.fromkeys(event for these in named for event in these))
        if not of:
            events = yield from proofs.own_events(self)
        where = Path(folder) if folder is not None else None
        return (yield from proofs.receipts(self, events, where))


def _id(thing: Has | str) -> str:
    return thing if isinstance(thing, str) else str(getattr(thing, "id", ""))


def _text(text: str | None) -> dict[str, str]:
    return {} if text is None else {"text": text}
