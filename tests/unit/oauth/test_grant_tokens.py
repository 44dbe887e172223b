"""Grant tokens: for one connector and one grant, asked about anew each time."""

import pytest

from exchange.clock import now_ms
from exchange.errors import Conflict, Denied, Forbidden, NotFound, Unavailable
from exchange.formats.tokens import verify_grant_token
from exchange.ids import new_id
from exchange.ledger.write import Stale
from exchange.oauth.model import GrantForToken
from exchange.participants.store import ORGANISATIONS
from tests.unit.oauth.world import ISSUER, claims_of


def a_grant(**changes):
    made = {
        "grant_id": new_id("grt", "ab12"),
        "offering_id": new_id("off"),
        "ends_ms": now_ms() + 86_400_000,
        "authorization_details": [{"type": "dataset", "actions": ["download"]}],
    }
    return GrantForToken(**(made | changes))


async def ask_for_grant(world, grant):
    world.grants[grant.grant_id] = grant
    return await world.post(scope=f"grant:{grant.grant_id}")


async def test_a_grant_token_is_for_the_connector_and_one_grant(world):
    grant = a_grant()
    body = (await ask_for_grant(world, grant)).json()
    assert body["scope"] == f"grant:{grant.grant_id}"
    token = verify_grant_token(
        body["access_token"],
        world.keys.public,
        issuer=ISSUER,
        audience=f"{ISSUER}/gateway",
        now=now_ms() / 1000,
    )
    assert (token.grant_id, token.client_id, token.org_id) == (
        grant.grant_id,
        world.client_id,
        world.org_id,
    )
    assert list(token.authorization_details) == grant.authorization_details
    assert token.expires - token.issued == body["expires_in"] == 300
    assert world.asked == [(world.client_id, world.org_id, grant.grant_id)]


async def test_a_grant_token_never_outlives_the_grant(world):
    grant = a_grant(ends_ms=now_ms() + 42_900)
    body = (await ask_for_grant(world, grant)).json()
    assert 40 <= body["expires_in"] <= 43
    assert claims_of(body["access_token"])["exp"] * 1000 <= grant.ends_ms
    ended = await ask_for_grant(world, a_grant(ends_ms=now_ms() - 1))
    assert (ended.status_code, ended.json()["error"]) == (400, "access_denied")


async def test_only_a_whole_grant_id_is_asked_about(world):
    one, two = new_id("grt", "ab12"), new_id("grt", "ab12")
    for scope in (
        f"grant:{one} grant:{two}",
        f"grant:{one} catalog",
        "grant:off_1",
        "grant:' OR 1",
    ):
        assert (await world.post(scope=scope)).json()["error"] == "invalid_scope"
    assert world.asked == []


async def test_a_denial_says_why_and_what_would_help(world):
    reasons, remedies = [{"code": "purpose_not_allowed"}], [{"code": "ask_purpose"}]
    members = {"reasons": reasons, "remedies": remedies, "private": "no"}
    world.grants["grt_" + "0" * 26] = Denied(
        "denied", 'Not for this "purpose" 用途.', members=members
    )
    answer = await world.post(scope="grant:grt_" + "0" * 26)
    assert answer.status_code == 400
    body = answer.json()
    assert body.pop("error_description") == "Not for this 'purpose' ''."  # RFC 6749 section 5.2
    told = [{**each, "params": {}, "text": each["code"]} for each in (*reasons, *remedies)]
    assert body == {"error": "access_denied", "reasons": told[:1], "remedies": told[1:]}
    assert world.spent() == 1


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Conflict("grant_ended", "It has ended.", hint="Ask again."), 400, "access_denied"),
        (Forbidden("no", "No."), 400, "access_denied"),
        (NotFound("grant_unknown", "No such grant."), 400, "invalid_scope"),
        (Unavailable("policy_unavailable", "Later."), 503, "temporarily_unavailable"),
    ],
)
async def test_what_access_says_is_told_in_oauth_terms(world, error, status, code):
    world.grants["grt_" + "0" * 26] = error
    answer = await world.post(scope="grant:grt_" + "0" * 26)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    words = " ".join(filter(None, (error.detail, error.hint)))
    assert answer.json()["error_description"] == words
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_an_answer_of_503_spends_nothing_and_every_other_does(world):
    made, grant = world.assertion(), a_grant()
    world.grants[grant.grant_id] = Unavailable("policy_unavailable", "Later.")
    assert (await world.post(made, scope=f"grant:{grant.grant_id}")).status_code == 503
    assert world.spent() == 0
    world.grants[grant.grant_id] = grant
    assert (await world.post(made, scope=f"grant:{grant.grant_id}")).status_code == 200
    assert world.spent() == 1
    refused = world.assertion()
    assert (await world.post(refused, scope="operate")).json()["error"] == "invalid_scope"
    assert (await world.post(refused)).json()["error"] == "invalid_client"


async def test_a_suspension_between_authentication_and_token_is_seen(world):
    grant = a_grant()

    async def suspend_meanwhile():
        if len(world.asked) == 1:
            await world.change(ORGANISATIONS, world.org_id, 1, status="suspended")
        return grant

    world.grants[grant.grant_id] = suspend_meanwhile
    answer = await world.post(scope=f"grant:{grant.grant_id}")
    assert answer.json()["error_description"] == "The client's organisation is suspended."


async def test_what_the_grant_rests_on_is_rechecked(world):
    """A row that `access/` read changes before the token is signed: it is asked again."""
    provider = await world.add_organisation("platform")
    grant = a_grant(reads={(ORGANISATIONS, provider): 1})

    async def revoke_meanwhile():
        if len(world.asked) == 1:
            await world.change(ORGANISATIONS, provider, 1, status="suspended")
            return grant
        return Conflict("grant_revoked", "The grant was revoked.")

    world.grants[grant.grant_id] = revoke_meanwhile
    answer = await world.post(scope=f"grant:{grant.grant_id}")
    assert answer.json()["error"] == "access_denied"
    assert len(world.asked) == 2


async def test_two_states_of_one_row_are_no_ground_for_a_token(world):
    """Authenticated by the new state of a row, authorized by the old one: decided again."""
    await world.change(ORGANISATIONS, world.org_id, 1, roles=["sme"])
    grant = a_grant()

    async def by_an_old_state_first():
        return a_grant(
            grant_id=grant.grant_id,
            reads={(ORGANISATIONS, world.org_id): len(world.asked)},
        )

    world.grants[grant.grant_id] = by_an_old_state_first
    assert (await world.post(scope=f"grant:{grant.grant_id}")).status_code == 200
    assert len(world.asked) == 2


async def test_stale_rows_leave_the_caches_that_access_reads(world):
    provider = await world.add_organisation("platform")
    await world.participants.organisations.get(provider)
    await world.change(ORGANISATIONS, provider, 1, name_en="Renamed")
    grant = a_grant()

    async def by_the_cached_provider():
        row = await world.participants.organisations.get(provider)
        return a_grant(grant_id=grant.grant_id, reads={(ORGANISATIONS, provider): row.rev})

    world.grants[grant.grant_id] = by_the_cached_provider
    assert (await world.post(scope=f"grant:{grant.grant_id}")).status_code == 200
    assert len(world.asked) == 2


async def test_rows_that_never_rest_end_in_503(world):
    grant = a_grant(reads={(ORGANISATIONS, world.org_id + "x"): 1})
    answer = await ask_for_grant(world, grant)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert len(world.asked) == 3
    assert world.spent() == 0


async def test_a_stale_raised_by_access_itself_is_decided_again(world):
    grant = a_grant()

    async def first_stale():
        return Stale([("grants", grant.grant_id)]) if len(world.asked) == 1 else grant

    world.grants[grant.grant_id] = first_stale
    assert (await world.post(scope=f"grant:{grant.grant_id}")).status_code == 200
