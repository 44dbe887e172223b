"""Token requests by hand: assertions, proofs, details, as a program with its own code would."""

import json
import time

import httpx

from exchange.formats.dpop import Prover
from exchange.formats.tokens import generate_client_key, make_client_assertion

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Program:
    """A client with its key, a DPoP key of its own, and the server's newest nonce."""

    def __init__(self, http: httpx.AsyncClient, issuer: str, client_id: str, key: dict) -> None:
        self.http, self.issuer, self.client_id, self.key = http, issuer, client_id, key
        self.prover = Prover(generate_client_key())
        self.nonce: str | None = None

    def form(self, **more) -> dict:
        signed = make_client_assertion(self.key, self.client_id, self.issuer, time.time())
        good = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signed,
        }
        return {name: value for name, value in (good | more).items() if value is not None}

    def proof(self, method: str = "POST", path: str = "/oauth/token", **more) -> str:
        options = {"nonce": self.nonce} | more
        return self.prover.proof(method, self.issuer + path, time.time(), **options)

    async def send(self, form: dict, *proofs: str, **headers: str) -> httpx.Response:
        sent = [*headers.items(), *(("DPoP", proof) for proof in proofs)]
        answer = await self.http.post("/oauth/token", data=form, headers=sent)
        self.nonce = answer.headers.get("dpop-nonce", self.nonce)
        return answer

    async def ask(self, *, bound: bool = True, lang: str = "en", **more) -> httpx.Response:
        """A good request, with the nonce that is asked for; details are written as JSON."""
        if "authorization_details" in more and not isinstance(more["authorization_details"], str):
            more["authorization_details"] = json.dumps(more["authorization_details"])
        if bound and self.nonce is None:
            self.nonce = "none yet"
            told = await self.send(self.form(**more), self.proof())
            assert told.json()["error"] == "use_dpop_nonce", told.text
        proofs = [self.proof()] if bound else []
        return await self.send(self.form(**more), *proofs, **{"Accept-Language": lang})

    def shows(self, token: str, method: str, path: str, **more) -> dict[str, str]:
        proof = self.proof(method, path, token=token, **more)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}
