"""The table of who may do what: every operation, every role, of its own and of others' affairs.

Actors are programs (`sme`) and people with one role each (`sme's owner`) of seven organisations,
and three without any: `nobody`, and whoever holds a `grant token` for files or a `call token` for
a service. GOOD (good_requests.py) says at
what each operation is aimed: at what `platform` offers and `sme` asked for and holds, so both act
on their own affairs there, `rival` (another platform) and `other` (another SME) on those of others.
`auditor` is engaged for the whole log, `idle` is an auditor whom nobody engaged.
"""

from tests.support.upstream import METHODS

ORGANISATIONS = ("operator", "platform", "rival", "sme", "other", "auditor", "idle")
PEOPLE = ("owner", "publisher", "approver", "developer", "auditor")
NO_ORGANISATION = ("nobody", "grant token", "call token")


def people(organisation: str, *roles: str) -> set[str]:
    """The people of an organisation who have one of these roles."""
    return {f"{organisation}'s {role}" for role in roles}


def all_of(*organisations: str) -> set[str]:
    """The program and all the people of each of these organisations."""
    return {*organisations}.union(*(people(each, *PEOPLE) for each in organisations))


MEMBERS = all_of(*ORGANISATIONS)
EVERYBODY = MEMBERS | {*NO_ORGANISATION}
OVERSEES = {"operator", "auditor"}.union(
    *(people(each, "owner", "auditor") for each in ("operator", "auditor"))
)
PARTIES = all_of("platform", "sme") | OVERSEES
SME_AND_OVERSIGHT = all_of("sme") | OVERSEES
OF_THE_LOG = {"operator", "auditor"} | people("operator", "auditor") | people("auditor", "auditor")
PUBLISHES = {"platform"} | people("platform", "publisher")
CONNECTS = {"platform"} | people("platform", "owner", "publisher")
SUSPENDS = {"operator", "platform"} | people("platform", "owner", "approver")
APPROVES = people("platform", "approver")  # two programs are not two people
ASKS = {"sme"} | people("sme", "developer")
HOOKS = {"sme"} | people("sme", "owner", "developer")
ALL_HOOKS = {*ORGANISATIONS}.union(*(people(o, "owner", "developer") for o in ORGANISATIONS))
OWNERS = {"operator"}.union(*(people(each, "owner") for each in ORGANISATIONS))
ASKERS = {*ORGANISATIONS}.union(*(people(each, "developer") for each in ORGANISATIONS))
OTHER_ASKS = {"other"} | people("other", "developer")
RIVAL_PUBLISHES = {"rival"} | people("rival", "publisher")

WHO_MAY: dict[str, set[str]] = {
    "GET /": EVERYBODY,
    "GET /healthz": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "POST /oauth/token": {"nobody"},  # with an Authorization header it is another way to prove it
    "POST /oauth/revoke": {"nobody"},
    "POST /oauth/introspect": {"nobody"},
    "POST /oauth/par": {"nobody"},
    "GET /.well-known/oauth-authorization-server": EVERYBODY,
    "GET /.well-known/oauth-protected-resource": EVERYBODY,
    "GET /.well-known/oauth-protected-resource/gateway": EVERYBODY,
    "GET /oauth/jwks": EVERYBODY,
    "POST /v1/organisations": {"operator"},
    "GET /v1/organisations": MEMBERS,
    "GET /v1/organisations/{org_id}": SME_AND_OVERSIGHT,
    "PUT /v1/organisations/{org_id}/attributes/{name}": {"operator"},
    "POST /v1/organisations/{org_id}/clients": {"operator"} | all_of("sme"),  # people: their own
    "GET /v1/organisations/{org_id}/clients": SME_AND_OVERSIGHT,
    "POST /oauth/register": EVERYBODY,  # whoever holds the invitation
    "GET /v1/clients": MEMBERS,
    "GET /v1/clients/{client_id}": SME_AND_OVERSIGHT,
    "POST /v1/clients/{client_id}/disable": {"operator", "sme"} | people("sme", "owner"),
    "POST /v1/clients/{client_id}/approve": {"operator"},
    "POST /v1/clients/{client_id}/reject": {"operator"},
    "POST /v1/clients/{client_id}/keys": {"operator"} | people("sme", "owner"),  # or itself
    "DELETE /v1/clients/{client_id}/keys/{thumbprint}": {"operator"} | people("sme", "owner"),
    "POST /v1/clients/{client_id}/secret": {"operator"} | people("sme", "owner"),
    "POST /v1/organisations/{org_id}/client-invitations": {"operator"} | people("sme", "owner"),
    "GET /v1/organisations/{org_id}/client-invitations": {"operator"} | people("sme", "owner"),
    "POST /v1/client-invitations/{invitation_id}/withdraw": {"operator"} | people("sme", "owner"),
    "POST /v1/organisations/{org_id}/members": {"operator"} | people("sme", "owner"),
    "GET /v1/organisations/{org_id}/members": SME_AND_OVERSIGHT,
    "GET /v1/members/{member_id}": SME_AND_OVERSIGHT,
    "PUT /v1/members/{member_id}": {"operator"} | people("sme", "owner"),
    "POST /v1/members/{member_id}/remove": {"operator"} | people("sme", "owner"),
    "POST /v1/invitations/accept": EVERYBODY,  # whoever holds the invitation
    "GET /v1/me": MEMBERS,
    "PUT /v1/files/{name}": PUBLISHES | RIVAL_PUBLISHES,  # each among its own
    "POST /v1/uploads": PUBLISHES | RIVAL_PUBLISHES,
    "GET /v1/uploads": PUBLISHES | RIVAL_PUBLISHES,
    "GET /v1/uploads/{upload_id}": PUBLISHES,
    "HEAD /v1/uploads/{upload_id}": PUBLISHES,
    "PATCH /v1/uploads/{upload_id}": PUBLISHES,
    "POST /v1/uploads/{upload_id}/complete": PUBLISHES,
    "DELETE /v1/uploads/{upload_id}": PUBLISHES,
    "POST /v1/offerings": PUBLISHES | RIVAL_PUBLISHES,
    "GET /v1/offerings": MEMBERS,
    "GET /v1/offerings/{offering_id}": MEMBERS,
    "GET /v1/offerings/facets": MEMBERS,
    "GET /v1/offerings/{offering_id}/versions": MEMBERS,
    "GET /v1/offerings/{offering_id}/versions/{version}": MEMBERS,
    "PUT /v1/offerings/{offering_id}": PUBLISHES,
    "GET /v1/offerings/{offering_id}/schema": MEMBERS,
    "GET /v1/offerings/{offering_id}/sample": MEMBERS,
    "GET /v1/offerings/{offering_id}/dcat": MEMBERS,
    "GET /v1/catalog/dcat": MEMBERS,
    "POST /v1/offerings/{offering_id}/publish": PUBLISHES,
    "POST /v1/offerings/{offering_id}/withdraw": PUBLISHES,
    "POST /v1/access-requests": ASKS | OTHER_ASKS,
    "GET /v1/access-requests": MEMBERS,
    "GET /v1/access-requests/{request_id}": PARTIES,
    "GET /v1/access-requests/{request_id}/steps": PARTIES,
    "POST /v1/access-requests/{request_id}/approve": APPROVES,
    "POST /v1/access-requests/{request_id}/reject": APPROVES,
    "POST /v1/access-requests/{request_id}/ask": APPROVES,
    "POST /v1/access-requests/{request_id}/answer": ASKS,
    "POST /v1/access-requests/{request_id}/comment": ASKS | APPROVES,
    "POST /v1/access-requests/{request_id}/withdraw": ASKS,
    "POST /v1/access-requests/{request_id}/appeal": ASKS | people("sme", "owner"),
    "POST /v1/policy/explain": ASKERS,  # what is asked for is judged by the policy, see SANDBOX
    "POST /v1/grants/{grant_id}/renew": ASKS,
    "GET /v1/grants": MEMBERS,
    "GET /v1/grants/{grant_id}": PARTIES,
    "GET /v1/grants/{grant_id}/usage": PARTIES,
    "GET /v1/usage": MEMBERS,
    "POST /v1/grants/{grant_id}/revoke": SUSPENDS,
    "POST /v1/webhooks": ALL_HOOKS,
    "GET /v1/webhooks": MEMBERS,
    "GET /v1/webhooks/{webhook_id}": all_of("sme"),
    "DELETE /v1/webhooks/{webhook_id}": HOOKS,
    "POST /v1/webhooks/{webhook_id}/redeliver": HOOKS,
    "POST /v1/webhooks/{webhook_id}/pause": HOOKS,
    "POST /v1/webhooks/{webhook_id}/resume": HOOKS,
    "GET /v1/status-lists/{org_id}": {"operator", "platform"},
    "GET /v1/status-lists/{org_id}/events": {"operator", "platform"},
    "POST /v1/connections": CONNECTS | {"rival"} | people("rival", "owner", "publisher"),
    "GET /v1/connections": CONNECTS | {"rival"} | people("rival", "owner", "publisher"),
    "GET /v1/connections/{connection_id}": CONNECTS,
    "PUT /v1/connections/{connection_id}": CONNECTS,
    "PUT /v1/connections/{connection_id}/credential": CONNECTS,
    "DELETE /v1/connections/{connection_id}": CONNECTS,
    "POST /v1/connections/{connection_id}/check": CONNECTS,
    "GET /v1/keys/master": {"operator"},
    "POST /v1/keys/master/rotate": {"operator"},
    "POST /v1/keys/master/retire": {"operator"},
    "GET /v1/keys/token": {"operator"},
    "POST /v1/keys/token/rotate": {"operator"},
    "POST /v1/keys/token/retire": {"operator"},
    "POST /v1/holds": SUSPENDS,
    "GET /v1/holds": MEMBERS,
    "GET /v1/holds/{hold_id}": PARTIES,
    "POST /v1/holds/{hold_id}/lift": SUSPENDS,
    "GET /log/checkpoint": EVERYBODY,
    "GET /log/key": EVERYBODY,
    "GET /log/tile/entries/{path}": OF_THE_LOG,
    "GET /log/tile/{level}/{path}": EVERYBODY,
    "GET /v1/log/entries": OF_THE_LOG,
    "GET /v1/log/export": OF_THE_LOG,
    "POST /v1/engagements": {"operator"},
    "GET /v1/engagements": MEMBERS,
    "GET /v1/engagements/{engagement_id}": OVERSEES | all_of("auditor"),
    "POST /v1/engagements/{engagement_id}/end": {"operator", "auditor"}
    | people("auditor", "owner", "auditor"),
    "GET /v1/log/reads": OF_THE_LOG | {"idle"} | people("idle", "auditor"),  # of its own
    "GET /v1/receipts/{event_id}": PARTIES,
    "GET /gateway/grants/{grant_id}": {"grant token"},
    "GET /gateway/grants/{grant_id}/files/{name}": {"grant token"},
    "HEAD /gateway/grants/{grant_id}/files/{name}": {"grant token"},
    **{
        f"{method} /gateway/grants/{{grant_id}}/call/{{path}}": {"call token"} for method in METHODS
    },
}

# Who is given what a platform offers for anyone registered to try.
SANDBOX = ASKERS - all_of("platform")

# What any organisation has of its own, aimed at the actor's own: who in it may.
OWN: dict[str, set[str]] = {
    "GET /v1/organisations/{org_id}": MEMBERS,
    "POST /v1/organisations/{org_id}/clients": MEMBERS,
    "GET /v1/organisations/{org_id}/clients": MEMBERS,
    "GET /v1/clients/{client_id}": MEMBERS,
    "POST /v1/clients/{client_id}/disable": {*ORGANISATIONS} | OWNERS,
    "POST /v1/clients/{client_id}/keys": OWNERS,
    "DELETE /v1/clients/{client_id}/keys/{thumbprint}": OWNERS,
    "POST /v1/clients/{client_id}/secret": OWNERS,
    "POST /v1/organisations/{org_id}/client-invitations": OWNERS,
    "GET /v1/organisations/{org_id}/client-invitations": OWNERS,
    "POST /v1/client-invitations/{invitation_id}/withdraw": OWNERS,
    "POST /v1/organisations/{org_id}/members": OWNERS,
    "GET /v1/organisations/{org_id}/members": MEMBERS,
    "GET /v1/members/{member_id}": MEMBERS,
    "PUT /v1/members/{member_id}": OWNERS,
    "POST /v1/members/{member_id}/remove": OWNERS,
    "GET /v1/webhooks/{webhook_id}": MEMBERS,
    "DELETE /v1/webhooks/{webhook_id}": ALL_HOOKS,
    "POST /v1/webhooks/{webhook_id}/redeliver": ALL_HOOKS,
    "POST /v1/webhooks/{webhook_id}/pause": ALL_HOOKS,
    "POST /v1/webhooks/{webhook_id}/resume": ALL_HOOKS,
}

# Lists answer every member, with what is theirs to see: what is looked for, and who finds it.
LISTS: dict[tuple[str, str], set[str]] = {
    ("/v1/organisations", "organisation"): SME_AND_OVERSIGHT,
    ("/v1/clients", "client"): SME_AND_OVERSIGHT,
    ("/v1/offerings", "offering"): MEMBERS,
    ("/v1/offerings", "a rival's draft"): all_of("rival") | OVERSEES,
    ("/v1/offerings", "private"): PARTIES,
    ("/v1/access-requests", "request"): PARTIES,
    ("/v1/grants", "grant"): PARTIES,
    ("/v1/holds", "hold"): PARTIES,
    ("/v1/webhooks", "webhook"): all_of("sme"),
    ("/v1/engagements", "engagement"): OVERSEES | all_of("auditor"),
}
