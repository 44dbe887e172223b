"""One bucket of a platform's store, through the minio package; every method blocks.

What the store says, or does not, comes out as one of these, and none repeats its words, which may
hold what the gateway sent:

    StoreProblem
    ├── Missing      no such bucket, key or version, or another content than the one that was named
    ├── Denied       the store does not accept the credential, or gives it no right to this
    ├── Away         no answer, in time or at all
    ├── Unfit        an answer that S3 does not give, or a redirect
    ├── Inward       the operator does not allow the address
    └── Taken        the key of an upload is taken
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from minio import Minio
from minio import time as minio_time
from minio.credentials.credentials import Credentials
from minio.error import InvalidResponseError, S3Error, ServerError
from minio.signer import sign_v4_s3
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from connectors.gateway.door import Connection
from connectors.s3_pool import CheckedPool, NotAllowed, Redirected, Unbounded
from exchange.outward.allow import AddressRefused, AllowList

LARGEST_PUT: Final = 5 << 30
"""Most bytes that S3 takes at once."""

_MISSING: Final = frozenset(
    {"NoSuchBucket", "NoSuchKey", "NoSuchVersion", "PreconditionFailed", "InvalidRange"}
)
_DENIED: Final = frozenset(
    {
        *("AccessDenied", "AccountProblem", "AllAccessDisabled", "AuthorizationHeaderMalformed"),
        *("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"),
        "XAdminUserNotFound",  # versitygw's for InvalidAccessKeyId, with a 404
    }
)


class StoreProblem(Exception):
    """The store does not do what it was asked."""


class Missing(StoreProblem):
    """There is nothing of that name, or another content."""


class Denied(StoreProblem):
    """The credential does not open it."""


class Away(StoreProblem):
    """The store does not answer."""


class Unfit(StoreProblem):
    """The store answers what it may not."""


class Inward(StoreProblem):
    """The address is not one that the operator allows."""


class Taken(StoreProblem):
    """An object is there already."""


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store says of one object: `tag` is its ETag without quotes."""

    key: str
    size: int
    tag: str
    version_id: str | None


class Bucket:
    """For threads. Holds the credential, and shows it nowhere."""

    def __init__(self, connection: Connection, allow: AllowList) -> None:
        """Connects to nothing yet. Raises Inward, Denied, Unfit."""
        try:
            url = urlsplit(allow.check_url(connection.url))
        except AddressRefused as error:
            raise Inward from error
        if url.path.strip("/") or url.query:
            raise Unfit("the URL of a store has no path")
        settings, secret = connection.settings, connection.secret
        self.name = str(settings.get("bucket", ""))
        self.url = f"{url.scheme}://{url.netloc}"
        self._region = str(settings.get("region") or "us-east-1")
        if not secret.get("access_key") or not secret.get("secret_key"):
            raise Denied("no credential")
        self._keys = Credentials(secret["access_key"], secret["secret_key"])
        self._pool = CheckedPool(allow)
        with _in_our_words():
            self._minio = Minio(
                url.netloc,
                access_key=self._keys.access_key,
                secret_key=self._keys.secret_key,
                secure=url.scheme == "https",
                region=self._region,  # or the package would ask for it
                http_client=self._pool,
            )

    def stat(self, key: str, tag: str | None = None, version_id: str | None = None) -> Stat:
        """Ask what is there; with a tag only of this content. Raises StoreProblem."""
        headers: Any = {"If-Match": f'"{tag}"'} if tag else {}
        with _in_our_words():
            found = self._minio.stat_object(
                self.name, key, version_id=version_id, extra_headers=headers
            )
        said = found.metadata.get("content-length", "") if found.metadata else ""
        if not found.etag or not said.isdecimal():
            raise Unfit("no ETag, or no size")
        if tag is not None and found.etag != tag:
            raise Missing("another content")
        return Stat(key, int(said), found.etag, _version(found.version_id))

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a prefix, by name. Raises StoreProblem."""
        with _in_our_words():
            for each in self._minio.list_objects(self.name, prefix=prefix, recursive=True):
                key = each.object_name
                if not key or not key.startswith(prefix):
                    raise Unfit("a key beside the prefix")
                yield key

    def get(self, item: Stat, first: int, last: int) -> BaseHTTPResponse:
        """Ask for a range of exactly this content; the caller reads and closes the answer."""
        with _in_our_words():
            response = self._minio.get_object(
                self.name,
                item.key,
                offset=first,
                length=last - first + 1,
                request_headers={"If-Match": f'"{item.tag}"'},
                version_id=item.version_id,
            )
        headers = response.headers
        whole_range = headers.get("content-range") == f"bytes {first}-{last}/{item.size}"
        if response.status != 206 or not whole_range:
            response.close()
            raise Unfit("another range")
        if headers.get("etag", "").strip('"') != item.tag:
            response.close()
            raise Missing("another content")
        return response

    def put(self, key: str, file: BinaryIO, size: int, sha256: str, media_type: str) -> None:
        """Write an object whole, its checksum (hex) checked by the store; never over another.

        Raises Taken where one is there, and other StoreProblems.
        """
        with _in_our_words():
            address = urlsplit(self._minio.get_presigned_url("PUT", self.name, key))
            url = address._replace(query="")  # only the place: the header is what is signed
            now = minio_time.utcnow()
            headers = sign_v4_s3(
                method="PUT",
                url=url,
                region=self._region,
                headers={
                    "Host": url.netloc,
                    "Content-Length": str(size),
                    "Content-Type": media_type,
                    "If-None-Match": "*",
                    "x-amz-content-sha256": sha256,
                    "x-amz-date": minio_time.to_amz_date(now),
                },
                credentials=self._keys,
                content_sha256=sha256,
                date=now,
            )
            response = self._pool.urlopen("PUT", url.geturl(), body=file, headers=headers)
        if response.status in (409, 412):
            raise Taken
        if response.status in (401, 403):
            raise Denied
        if response.status >= 500:
            raise Away
        if response.status != 200:
            raise Unfit(f"status {response.status}")

    def presigned(self, key: str, version_id: str | None, seconds: int, name: str) -> str:
        """Return a URL that reads this object for so long without a credential: keep it secret."""
        with _in_our_words():
            return self._minio.presigned_get_object(
                self.name,
                key,
                expires=timedelta(seconds=seconds),
                version_id=version_id,
                response_headers={"response-content-disposition": name},
            )

    def close(self) -> None:
        """Let idle connections go."""
        self._pool.clear()


def _version(version_id: str | None) -> str | None:
    """Return a version's id; the version `null` can be written over, so it tells nothing."""
    return None if version_id in (None, "", "null") else version_id


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except StoreProblem:
        raise
    except S3Error as error:
        raise _of_code(str(error.code), error.response.status) from error
    except ServerError as error:
        raise _of_status(error.status_code) from error
    except InvalidResponseError as error:  # no XML: a proxy before the store
        raise _of_status(getattr(error, "_code", 0)) from error
    except NotAllowed as error:
        raise Inward from error
    except (Redirected, Unbounded) as error:
        raise Unfit("a redirect, or no end") from error
    except (HTTPError, OSError) as error:
        raise Away from error
    except Exception as error:  # whatever a store's XML and headers make of the package
        raise Unfit("not what S3 answers") from error


def _of_code(code: str, status: int) -> StoreProblem:
    if code in _MISSING:
        return Missing(code)
    if code in _DENIED:
        return Denied(code)
    return _of_status(status)


def _of_status(status: int) -> StoreProblem:
    if status in (401, 403):
        return Denied(str(status))
    if status in (404, 412, 416):
        return Missing(str(status))
    return Away(str(status)) if status >= 500 or status in (408, 429) else Unfit(str(status))
