"""A whole story under watch: secrets planted first, then told, then every misbehaviour."""

import json
import secrets
import time
from base64 import b64encode
from pathlib import Path

import httpx

from tests.support.actors import SME_ATTRIBUTES, TERMS, ask, join, operator
from tests.support.server import ROOT, UPSTREAM_ALLOW, ExchangeServer
from tests.support.story import refused
from tests.support.watch import Watch

FOLDER = "planted-folder-7f3a91c2"
FIGURES = {"headcount": 918273645, "revenue_cny_10k": 564738291, "assets_cny_10k": 192837465}
ROUTES = (
    ("GET", "/"),
    ("GET", "/readyz"),
    ("GET", "/log/checkpoint"),
    ("GET", "/log/tile/0/000.p/1"),
    ("GET", "/v1/organisations"),
    ("GET", "/v1/offerings"),
    ("GET", "/v1/grants"),
    ("GET", "/v1/access-requests"),
    ("GET", "/v1/log/entries"),
    ("GET", "/v1/connections"),
    ("GET", "/v1/keys/master"),
    ("POST", "/v1/connections"),
    ("POST", "/v1/offerings"),
    ("POST", "/v1/access-requests"),
    ("POST", "/v1/organisations"),
)


class Story:
    """The exchange under watch: who acts, and what they have made."""

    def __init__(self, server: ExchangeServer) -> None:
        self.server, self.watch = server, Watch()
        keys = server.state / "keys"
        self.watch.plant("the log's key", (keys / "log.key").read_text().strip().split("+", 4)[-1])
        for path in keys.iterdir():
            if path.suffix in (".json", ".jwk") and path.name != "operator.json":
                for key in private_parts(json.loads(path.read_text())):
                    self.watch.plant(f"a token key ({path.name})", key)
        for key in json.loads((keys / "master.json").read_text())["keys"]:
            self.watch.plant("a master key", key)
        self.watch.plant("the state's path", server.state)
        self.watch.plant("the source's path", ROOT / "exchange")
        self.watch.plant("the interpreter's path", Path(httpx.__file__).parents[1])
        by = self.watch.follow("operator", operator(server.state))
        self.operator = by
        self.sessions = {"operator": by}
        small = SME_ATTRIBUTES | FIGURES | {"headcount": 41}
        for role, roles, attributes in (
            ("platform", ["platform"], {}),
            ("rival", ["platform"], {}),
            ("sme", ["sme"], small),
            ("large", ["sme"], SME_ATTRIBUTES | FIGURES),
            ("auditor", ["auditor"], {}),
        ):
            session = join(by, f"{role} of the story", roles, attributes)
            self.sessions[role] = self.watch.follow(role, session)
        for name in ("revenue_cny_10k", "assets_cny_10k"):
            owners = ("sme", "large", "operator", "auditor")
            self.watch.plant(f"an attribute ({name})", FIGURES[name], *owners)
        self.watch.plant("headcount", FIGURES["headcount"], "large", "operator", "auditor")
        self.watch.plant("an offering's source path", FOLDER, "platform", "operator", "auditor")

    def request(self, role: str, method: str, path: str, **options) -> httpx.Response:
        """One request under watch, whatever its answer."""
        headers = options.pop("headers", {})
        if role in self.sessions and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.sessions[role].token()}"
        hooks = {"response": [self.watch.hook(role)]}
        with httpx.Client(base_url=self.server.url, event_hooks=hooks, timeout=30) as client:
            return client.request(method, path, headers=headers, **options)

    def everywhere(self, tokens: dict[str, str] | None = None) -> list[httpx.Response]:
        """Every kind of route as every role, with tokens from before if need be."""
        answers = []
        for role in ("operator", "platform", "sme", "auditor", "nobody"):
            headers = (
                {"Authorization": f"Bearer {tokens[role]}"} if tokens and role in tokens else {}
            )
            for method, path in ROUTES:
                body = {} if method == "GET" else {"json": self.bodies.get(path, {})}
                answers.append(self.request(role, method, path, headers=dict(headers), **body))
        return answers

    def tell(self) -> None:
        """The whole path: publish, ask, decide, deliver, refuse, revoke, audit."""
        s = self.sessions
        folder = self.server.state / "data" / s["platform"].profile.organisation_id / FOLDER
        folder.mkdir(parents=True)
        (folder / "data.bin").write_bytes(b"0123456789" * 100)
        terms = TERMS | {"source": {"connector": "files", "path": FOLDER}}
        draft = s["platform"].post("/v1/offerings", terms)
        offering = s["platform"].post(f"/v1/offerings/{draft['id']}/publish")
        self.offering = offering["id"]
        self.bodies = {
            "/v1/offerings": terms,
            "/v1/access-requests": {
                "offering_id": self.offering,
                "purpose": "scientific_research",
                "days": 5,
            },
        }
        self.connect()
        answer = ask(s["sme"], offering)
        self.grant = answer["grant"]["id"]
        refused(s["sme"], offering, purpose="marketing")
        refused(s["large"], offering)  # by size: a rule that reads the figures
        files = f"/gateway/grants/{self.grant}/files/data.bin"
        scope = f"grant:{self.grant}"
        assert s["sme"].request("GET", files, scope=scope).content == b"0123456789" * 100
        s["sme"].request("GET", f"/gateway/grants/{self.grant}", scope=scope)
        for role, session in s.items():
            for path in (
                "/v1/organisations",
                "/v1/offerings",
                f"/v1/offerings/{self.offering}",
                f"/v1/organisations/{s['sme'].profile.organisation_id}",
                f"/v1/organisations/{s['large'].profile.organisation_id}",
                f"/v1/access-requests/{answer['id']}",
                f"/v1/receipts/{answer['event_id']}",
                f"/v1/organisations/{session.profile.organisation_id}/clients",
                "/v1/log/entries",
                "/log/tile/entries/000.p/9",
            ):
                self.request(role, "GET", path)
        self.everywhere()

    def connect(self) -> None:
        """Connections with every kind of credential: secrets that nobody is ever shown."""
        me, url = self.sessions["platform"], f"http://{UPSTREAM_ALLOW}/"
        secret = [f"planted-credential-{secrets.token_hex(8)}" for _ in range(6)]
        for each in (*secret, b64encode(f"mill:{secret[4]}".encode()).decode()):
            self.watch.plant("a credential", each)
        self.credentials: list[dict] = [
            {"kind": "access_key", "access_key": secret[0], "secret_key": secret[1]},
            {"kind": "header", "name": "X-Api-Key", "value": secret[2]},
            {"kind": "bearer", "token": secret[3]},
            {"kind": "basic", "user": "mill", "password": secret[4]},
            {"kind": "bearer", "token": secret[5]},
        ]
        body: dict = {"kind": "http", "name": "Mill", "url": url}
        self.bodies["/v1/connections"] = {**body, "credential": self.credentials[1]}
        made = [me.post("/v1/connections", {**body, "credential": c}) for c in self.credentials[1:]]
        store = {**body, "kind": "s3", "bucket": "mill", "credential": self.credentials[0]}
        made.append(me.post("/v1/connections", store))
        self.connection = f"/v1/connections/{made[0]['id']}"
        me.put(f"{self.connection}/credential", {"credential": self.credentials[4]})
        for path in (self.connection, *(f"/v1/connections/{each['id']}/check" for each in made)):
            for role in ("platform", "rival", "operator", "auditor", "nobody"):
                self.request(role, "POST" if path.endswith("check") else "GET", path)

    def misconnect(self) -> None:
        """Credentials that are sent wrongly, or to where they do not belong."""
        body = self.bodies["/v1/connections"]
        for given in self.credentials[:4]:
            [*_, (name, secret)] = given.items()
            for wrong in (
                {**given, "kind": secret},
                {**given, secret[:30]: 1},
                {**given, name: [secret]},
                {**given, name: secret + "\n"},
                {**given, name: secret * 300},
                {"kind": "header", "name": secret + " ", "value": secret},
                {"kind": "header", "name": "Host", "value": secret},
                secret,
            ):
                for method, path, sent in (
                    ("POST", "/v1/connections", {**body, "credential": wrong}),
                    ("PUT", f"{self.connection}/credential", {"credential": wrong}),
                    ("PUT", self.connection, {**body, "credential": wrong}),
                ):
                    assert self.request("platform", method, path, json=sent).status_code == 422
            for wrong in (
                {"url": f"https://user:{secret}@a.example/"},
                {"url": f"https://a.example/?key={secret}"},
                {"url": f"https://10.0.0.1/{secret}"},
                {"kind": secret},
                {"bucket": secret},
                {secret[:30]: secret},
            ):
                sent = {**body, **wrong}
                answer = self.request("platform", "POST", "/v1/connections", json=sent)
                assert answer.status_code == 422
            terms = {**TERMS, "kind": "compute", "source": {"connector": secret}}
            assert self.request("platform", "POST", "/v1/offerings", json=terms).status_code == 422
            self.request("platform", "GET", f"/v1/connections/{secret}")
            self.request("platform", "GET", f"/v1/connections?cursor={secret}")

    def misbehave(self) -> None:
        """Requests that carry secrets to where they do not belong, or are not whole."""
        self.misconnect()
        s, request = self.sessions, self.request
        stolen = s["operator"].token()
        grant_token = s["sme"].token(f"grant:{self.grant}")
        key = s["sme"].profile.key
        org = s["sme"].profile.organisation_id
        clients = f"/v1/organisations/{org}/clients"
        json_type = {"Content-Type": "application/json"}
        for body in (
            {"name": "n", "jwks": {"keys": [key]}},
            {"name": "n", "jwks": {"keys": [{**key, "kty": key["d"]}]}},
            {"name": key["d"] + "\n", "jwks": {"keys": []}},
            {"name": "n", "jwks": {key["d"]: 1}},
            {key["d"]: 1, stolen: 2},
            {"name": {"secret": key["d"]}, "jwks": key["d"]},
        ):
            assert request("sme", "POST", clients, json=body).status_code == 422
            request("sme", "PUT", f"/v1/organisations/{org}/attributes/headcount", json=body)
            request("sme", "POST", "/v1/access-requests", json=body)
            request("platform", "POST", "/v1/offerings", json=body)
        for raw in (f'{{"name": "{key["d"]}', f'{{"{stolen}": NaN}}', f"{stolen}", "\x00" + stolen):
            sent = request("sme", "POST", clients, content=raw.encode(), headers=dict(json_type))
            assert sent.status_code == 400
        for headers in (
            {"Authorization": f"Bearer {stolen[:-4]}AAAA"},
            {"Authorization": f"Bearer {stolen}.{stolen}"},
            {"Authorization": f"Basic {stolen}"},
            {"Authorization": f"Bearer {grant_token[:-4]}AAAA"},
            {"Authorization": stolen, "Cookie": f"token={stolen}"},
            {"Authorization": "Bearer x", "Idempotency-Key": key["d"], "X-Request-Id": stolen},
        ):
            for path in ("/v1/grants", "/v1/offerings", f"/gateway/grants/{self.grant}"):
                assert request("nobody", "GET", path, headers=dict(headers)).status_code == 401
            request("nobody", "POST", "/oauth/token", headers=dict(headers), data={"a": stolen})
        for path in (
            f"/v1/offerings/{stolen}",
            f"/v1/offerings?access_token={stolen}&cursor={key['d']}&limit={stolen}",
            f"/{key['d']}",
            f"/log/tile/0/{key['d']}",
            f"/docs/{key['d']}",
        ):
            request("sme", "GET", path)
        assertion = "eyJhbGciOiJFUzI1NiJ9." + key["d"] + "." + key["d"]
        for form in (
            {"grant_type": "client_credentials", "client_assertion": assertion},
            {"grant_type": key["d"], "client_secret": key["d"]},
            {"grant_type": "password", "username": "u", "password": key["d"], key["d"]: "x"},
            {"grant_type": "client_credentials", "scope": stolen},
        ):
            kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            form = {"client_assertion_type": kind, **form}
            assert request("nobody", "POST", "/oauth/token", data=form).status_code in (400, 401)

    def assert_at_rest(self) -> None:
        """No credential in any file of the exchange's, nor in an export of the whole log; the
        search finds what is there to find.
        """
        for role in ("auditor", "operator"):
            exported = self.request(role, "GET", "/v1/log/export")
            assert "connection.credential_replaced.v1" in exported.text
        assert self.watch.leaks() == []
        found = set()
        texts = {s.text.encode(): s.what for s in self.watch.secrets}
        for path in self.server.state.rglob("*"):
            if path.is_file() and path.parent.name != "keys":
                held = path.read_bytes()
                found |= {what for text, what in texts.items() if text in held}
        assert "an offering's source path" in found
        assert not found & {"a credential", "a master key", "the log's key"}, found

    def assert_kept(self) -> None:
        """No leak; and the watch could see one: those who may be shown a secret were."""
        time.sleep(0.2)
        assert self.watch.leaks() == []
        assert self.watch.logged(self.server.log().splitlines()) == []
        assert self.watch.was_shown("an offering's source path", "platform")
        assert self.watch.was_shown("headcount", "auditor")
        assert len([s for s in self.watch.secrets if s.what == "an access token"]) > 5
        assert len([s for s in self.watch.secrets if s.what == "a credential"]) == 7
        assert len(self.watch.shown) > 100


def private_parts(value: object) -> list[str]:
    """The members `d` in some JSON."""
    if isinstance(value, dict):
        own = [value["d"]] if isinstance(value.get("d"), str) else []
        return own + [part for member in value.values() for part in private_parts(member)]
    return (
        [part for each in value for part in private_parts(each)] if isinstance(value, list) else []
    )
