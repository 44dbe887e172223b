"""The keys of a client, whatever is added and removed: 1 to 8, no id and no key twice."""

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.errors import Conflict, NotFound
from exchange.formats.jwk import MAX_KEYS, thumbprint
from exchange.formats.tokens import generate_client_key, public_jwks
from exchange.participants.change_client import with_key, without_key

POOL = [public_jwks(generate_client_key())["keys"][0] for _ in range(10)]
KIDS = ["a", "b", *(key["kid"] for key in POOL)]
KEYS = st.builds(
    lambda key, kid: key | {"kid": kid or key["kid"]},
    st.sampled_from(POOL),
    st.none() | st.sampled_from(KIDS),
)
STEPS = st.lists(st.tuples(st.sampled_from(["add", "remove"]), KEYS), max_size=30)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_any_steps_leave_keys_that_point_to_one_each(steps):
    keys = (POOL[0],)
    for act, key in steps:
        name, before = thumbprint(key), keys
        known = {thumbprint(each): each["kid"] for each in before}
        try:
            keys = with_key(keys, key) if act == "add" else without_key(keys, name)
        except NotFound:
            assert name not in known
            continue
        except Conflict as refused:
            code = refused.code
            told = {
                "last_key": len(before) == 1 and name in known,
                "too_many_keys": len(before) == MAX_KEYS,
                "key_id_taken": key["kid"] in known.values(),
                "key_registered": known.get(name, key["kid"]) != key["kid"],
            }
            assert told[code]
            assert keys == before
            continue
        if act == "remove":
            assert [*keys] == [each for each in before if thumbprint(each) != name]
        elif known.get(name) == key["kid"]:
            assert keys == before
        else:
            assert keys == (*before, key)
        assert 1 <= len(keys) <= MAX_KEYS
        assert len({each["kid"] for each in keys}) == len(keys)
        assert len({thumbprint(each) for each in keys}) == len(keys)
