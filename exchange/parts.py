"""The parts of a running exchange, built from settings and taken down again in order."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from connectors.files import FileSource
from connectors.forward.limits import MOST
from connectors.http import HttpSource
from connectors.resumable import ResumableUploads
from connectors.s3 import S3Source
from exchange.access.redecide import Redecider
from exchange.access.request_access import Desk
from exchange.access.store import AccessStore
from exchange.catalog.store import Catalog
from exchange.chores import follow_log, forget_uploads, sweep
from exchange.clock import now_ms
from exchange.connections.check_connection import ReachChecker
from exchange.connections.desk import ConnectionDesk
from exchange.connections.rotate_master import Resealer, activate_vault
from exchange.connections.store import ConnectionStore
from exchange.connections.vault import open_vault
from exchange.db import Database
from exchange.errors import StartUpError, Unavailable
from exchange.ledger.index import LogIndex
from exchange.ledger.keep import Keeper, lock_file, make_private_dir
from exchange.ledger.ledger import Ledger
from exchange.ledger.start import load_signer
from exchange.migrate import migrate
from exchange.mounted_connections import MountedConnections
from exchange.oauth.keys import TokenKeys, load_token_keys
from exchange.oauth.revoke import RevokedTokens
from exchange.outward.allow import AllowList, BadEntry
from exchange.participants.bootstrap import bootstrap_operator
from exchange.participants.engagements_store import EngagementsStore
from exchange.participants.secrets import SecretKey, load_secret_key
from exchange.participants.store import Participants
from exchange.policy.activate import activate_policy
from exchange.policy.door import PolicyEngine
from exchange.policy.engines import open_engine
from exchange.policy.model import PolicyError
from exchange.settings import Settings
from exchange.status.feed import StatusFeed
from exchange.status.store import StatusStore
from exchange.watchers import Watchers
from exchange.webhooks.deliver import Deliverer
from exchange.webhooks.send import MessageKey, Sender
from exchange.webhooks.store import WebhookStore

NOTHING = {
    "id": "off_0",
    "version": 1,
    "status": "draft",
    "kind": "dataset",
    "classification": "core",
    "personal_information": "none",
    "purposes": [],
    "max_days": 1,
    "jurisdictions": [],
    "min_evidence": "certified",
    "approval": "provider",
    "approvers": 1,
    "sizes": [],
    "max_sessions": None,
    "limits": {},
    "sandbox": False,
}


@dataclass(slots=True)
class Parts:
    """Everything that serves requests in this process."""

    settings: Settings
    db: Database
    ledger: Ledger
    participants: Participants
    engagements: EngagementsStore
    catalog: Catalog
    store: AccessStore
    watchers: Watchers
    status_feed: StatusFeed
    desk: Desk
    engine: PolicyEngine
    token_keys: TokenKeys
    revoked_tokens: RevokedTokens
    secret_key: SecretKey
    webhooks: WebhookStore
    webhook_allow: AllowList
    upstream_allow: AllowList
    connection_desk: ConnectionDesk
    connections: MountedConnections
    reach: ReachChecker
    files: FileSource
    services: HttpSource
    s3: S3Source
    uploads: ResumableUploads
    tasks: Sequence[asyncio.Task[None]]
    lock: IO[bytes] | None

    async def probe_policy(self) -> None:
        """Ask the policy something harmless; raises Unavailable when it gives no answer."""
        nobody = {"id": "org_0", "status": "active"}
        document: Any = {
            "now": now_ms() // 1000,
            "consumer": {**nobody, "roles": [], "attributes": {}},
            "provider": nobody,
            "offering": NOTHING,
            "request": {"purpose": "", "actions": ["read"], "days": 1},
            "approvals": [],
        }
        try:
            await self.engine.decide(document)
        except PolicyError as error:
            raise Unavailable("policy_unavailable", "The policy engine gives no answer.") from error

    async def close(self) -> None:
        """Stop in the reverse order of starting."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.to_thread(self.ledger.close)
        await self.reach.aclose()
        await self.services.aclose()
        await self.engine.aclose()
        self.uploads.close()
        self.s3.close()
        self.files.close()
        self.db.close()
        if self.lock is not None:
            self.lock.close()


async def open_parts(settings: Settings) -> Parts:
    """Build the parts; raises StartUpError with what to do."""
    webhook_allow = _allow_list("EXCHANGE_WEBHOOK_ALLOW", settings.webhook_allow)
    upstream_allow = _allow_list("EXCHANGE_UPSTREAM_ALLOW", settings.upstream_allow, public=True)
    with contextlib.ExitStack() as undo:
        db, lock = open_database(settings)
        if lock is not None:
            undo.callback(lock.close)
        undo.callback(db.close)
        migrate(db)
        db.assert_durable()
        keeper = Keeper(settings.checkpoints)
        undo.callback(keeper.close)
        ledger = Ledger(db, keeper, load_signer(settings.keys_dir, settings.log_origin))
        undo.callback(ledger.close)
        participants, catalog, store = Participants(db), Catalog(db), AccessStore(ledger)
        revoked = RevokedTokens()
        await revoked.read(ledger)
        watchers = Watchers()  # told last: who looks again finds no cache with the old row
        status_feed = StatusFeed(StatusStore(ledger))
        caches: list[Callable[[Sequence[str]], None]] = [
            participants.drop,
            catalog.drop,
            store.grants_kept.drop,
            revoked.drop,
            watchers.drop,
            status_feed.drop,
        ]
        ledger.listeners.extend(_on_this_loop(drop) for drop in caches)
        files = FileSource(make_private_dir(settings.data, "platforms' files"))
        undo.callback(files.close)
        try:
            engine = open_engine(
                settings.policy_engine,
                bundle_dir=settings.policy_dir,
                opa_url=settings.opa_url,
                cache_dir=make_private_dir(settings.state_dir / "cache", "compiled policies"),
            )
        except PolicyError as error:
            raise StartUpError(str(error)) from error
        await bootstrap_operator(
            ledger, participants, settings.keys_dir / "operator.json", settings.issuer_url
        )
        policy = await activate_policy(ledger, engine)
        connections = await _connections(ledger, participants, catalog, upstream_allow, settings)
        resealer = Resealer(ledger, connections.store, connections.vault)
        mounted = MountedConnections(connections.store, connections.vault)
        most = replace(MOST, request_bytes=settings.call_bytes)
        scratch = make_private_dir(settings.state_dir / "scratch", "copies of tables being read")
        s3 = S3Source(mounted, upstream_allow, scratch)
        undo.callback(s3.close)
        uploads = ResumableUploads(settings.data, files, s3, settings.upload_bytes)
        undo.callback(uploads.close)
        desk = Desk(ledger, participants, catalog, policy, store)
        engagements = EngagementsStore(ledger)
        secret_key = load_secret_key(settings.keys_dir)
        token_keys, webhooks = load_token_keys(settings.keys_dir), WebhookStore(ledger)
        sender = Sender(MessageKey(lambda: token_keys.signing), webhook_allow)
        deliverer = Deliverer(webhooks, participants, sender, issuer=settings.issuer_url)
        tasks = [
            asyncio.create_task(deliverer.run(), name="webhooks"),
            asyncio.create_task(follow_log(ledger, await ledger.size(), caches), name="caches"),
            asyncio.create_task(
                sweep(desk, engagements, resealer, settings.sweep_seconds), name="sweep"
            ),
            asyncio.create_task(forget_uploads(uploads), name="forget uploads"),
            asyncio.create_task(LogIndex(ledger).run(), name="log index"),
            asyncio.create_task(Redecider(desk).run(), name="redecide"),
            asyncio.create_task(status_feed.run(), name="status"),
        ]
        undo.pop_all()
        return Parts(
            settings=settings,
            db=db,
            ledger=ledger,
            participants=participants,
            engagements=engagements,
            catalog=catalog,
            store=store,
            watchers=watchers,
            status_feed=status_feed,
            desk=desk,
            engine=engine,
            token_keys=token_keys,
            revoked_tokens=revoked,
            secret_key=secret_key,
            webhooks=webhooks,
            webhook_allow=webhook_allow,
            upstream_allow=upstream_allow,
            connection_desk=connections,
            connections=mounted,
            services=HttpSource(mounted, upstream_allow, most=most),
            reach=ReachChecker(upstream_allow),
            files=files,
            s3=s3,
            uploads=uploads,
            tasks=tasks,
            lock=lock,
        )


async def _connections(
    ledger: Ledger,
    participants: Participants,
    catalog: Catalog,
    allow: AllowList,
    settings: Settings,
) -> ConnectionDesk:
    """Open the vault, and put what the verbs about connections need beside it."""
    store = ConnectionStore(ledger.db)
    vault = open_vault(settings.keys_dir, await store.sealed_by())
    await activate_vault(ledger, store, vault)
    return ConnectionDesk(ledger, store, participants, vault, allow, users=catalog)


def _on_this_loop(
    drop: Callable[[Sequence[str]], None],
) -> Callable[[Sequence[str]], None]:
    """Caches belong to the event loop; the ledger tells of changes from a thread of its own.

    It tells before it answers, so whoever made a change finds the caches without the old row.
    """
    loop = asyncio.get_running_loop()

    def later(ids: Sequence[str]) -> None:
        loop.call_soon_threadsafe(drop, ids)

    return later


def _allow_list(setting: str, text: str, *, public: bool = False) -> AllowList:
    try:
        return AllowList(text, public=public)
    except BadEntry as error:
        raise StartUpError(f"{setting}: {error}") from error


def open_database(settings: Settings) -> tuple[Database, IO[bytes] | None]:
    """Open the database; SQLite means one process, which a lock file enforces."""
    make_private_dir(settings.state_dir, "the exchange's state")
    db = Database(settings.database)
    if not db.is_sqlite:
        return db, None
    # The lock stands beside the database, which another state folder might name too.
    path = Path(db.url.database or ":memory:")
    if path.name == ":memory:":
        raise StartUpError("EXCHANGE_DATABASE_URL names no file: leave it empty for SQLite.")
    if settings.workers > 1:
        raise StartUpError(
            "SQLite serves one process. For EXCHANGE_WORKERS above 1 set EXCHANGE_DATABASE_URL "
            "to a PostgreSQL database."
        )
    folder = make_private_dir(path.parent, "the database")
    lock = lock_file(path.with_suffix(".lock"))
    if lock is None:
        raise StartUpError(
            f"Another exchange already runs on {folder}. Stop it, or choose another "
            "EXCHANGE_STATE_DIR; several processes need PostgreSQL (EXCHANGE_DATABASE_URL)."
        )
    return db, lock
