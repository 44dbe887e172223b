"""TLS to a platform's store: the name is proved, whichever address was checked."""

import ssl

import pytest
from urllib3.exceptions import HTTPError

from connectors.s3_pool import CheckedPool
from exchange.outward.allow import AllowList
from tests.attacks.test_connection_attacks import certificate
from tests.support.hostile_store import hostile_store, response

HEAD = {"ETag": '"abc"'}


@pytest.mark.parametrize("name", ["store.example", "other.example"])
def test_tls_proves_the_name_though_the_connection_is_to_an_address(tmp_path, name) -> None:
    tls = certificate(tmp_path, name)
    trusted = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with hostile_store(response("200 OK", HEAD), tls) as (port, heads):
        allow = AllowList(f"127.0.0.1:{port},store.example:{port}")
        pool = CheckedPool(allow, lambda host, port: ["127.0.0.1"], trusted)
        if name == "store.example":
            assert pool.urlopen("GET", f"https://store.example:{port}/").status == 200
        else:
            with pytest.raises(HTTPError):
                pool.urlopen("GET", f"https://store.example:{port}/")
        strangers = CheckedPool(allow, lambda host, port: ["127.0.0.1"])
        with pytest.raises(HTTPError):
            strangers.urlopen("GET", f"https://store.example:{port}/")
    assert len(heads) == (name == "store.example")
