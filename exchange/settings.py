"""Every setting, typed: `EXCHANGE_<NAME>` in the environment (pydantic-settings)."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class Settings(BaseSettings):
    """What an operator may set. Defaults run everything embedded, on this machine only."""

    model_config = SettingsConfigDict(env_prefix="EXCHANGE_", extra="ignore", frozen=True)

    # Where it listens and what it calls itself. Issuer and audience never come from a header.
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    issuer: str = Field("", description="Public URL; empty: http://HOST:PORT")
    gateway_url: str = Field("", description="Audience of grant tokens; empty: ISSUER/gateway")
    workers: int = Field(1, ge=1, le=64, description="Processes; more than one needs PostgreSQL")

    # Where it keeps things.
    state_dir: Path = Path("state")
    database_url: SecretStr = Field(
        SecretStr(""), description="postgresql://…; empty: SQLite in STATE_DIR/database"
    )
    checkpoint_dir: Path | None = Field(
        None, description="Kept apart from the database's backups; empty: STATE_DIR/checkpoints"
    )
    data_dir: Path | None = Field(None, description="Platforms' files; empty: STATE_DIR/data")
    log_origin: str = Field("", description="The log's name, fixed at first start; empty: random")

    # How it decides.
    policy_engine: Literal["embedded", "server"] = "embedded"
    policy_dir: Path | None = Field(None, description="The compiled bundle; empty: policies/build")
    opa_url: str = "http://127.0.0.1:8181"

    # Whom it may call.
    webhook_allow: str = Field(
        "", description="host, *.suffix, host:port, address or network, with commas; empty: none"
    )
    upstream_allow: str = Field(
        "",
        description="Where platforms' stores and services may be beside public addresses by "
        "https: host:port, address or network, with commas",
    )

    # Limits.
    body_bytes: int = Field(256 * 1024, ge=1024, description="Largest JSON or form body")
    upload_bytes: int = Field(512 * MIB, ge=1024, description="Largest dataset file")
    call_bytes: int = Field(
        2048 * MIB, ge=1024, description="Largest body of a call to a platform's service"
    )
    header_bytes: int = Field(32 * 1024, ge=1024, description="Largest request head")
    request_seconds: float = Field(30.0, gt=0, description="Longest wait for an answer to begin")
    page_items: int = Field(100, ge=1, le=1000, description="Most items a page of a list holds")
    oauth_per_minute: int = Field(
        6000, ge=1, description="Requests of one client a minute at the OAuth endpoints"
    )
    oauth_failures_per_minute: int = Field(
        600, ge=1, description="Failed authentications from one address a minute"
    )
    api_token_seconds: int = Field(300, ge=10, le=3600)
    grant_token_seconds: int = Field(300, ge=10, le=3600)
    sweep_seconds: float = Field(5.0, gt=0, description="How often ended grants get their leaf")
    session_minutes: int = Field(15, ge=1, le=60, description="Longest delivery session")

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def issuer_url(self) -> str:
        """The issuer (RFC 8414): a URL without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.issuer or f"http://{host}:{self.port}").rstrip("/")

    @property
    def connector_url(self) -> str:
        """The registered URL of the mounted gateway, audience of its grant tokens."""
        return (self.gateway_url or f"{self.issuer_url}/gateway").rstrip("/")

    @property
    def keys_dir(self) -> Path:
        """Log key, token keys, the operator's client key; 0700."""
        return self.state_dir / "keys"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints kept outside the database."""
        return self.checkpoint_dir or self.state_dir / "checkpoints"

    @property
    def data(self) -> Path:
        """Folder of the platforms' files, one sub-folder an organisation."""
        return self.data_dir or self.state_dir / "data"

    @property
    def database(self) -> str:
        """The database's SQLAlchemy URL."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite:///{(self.state_dir / 'database' / 'exchange.sqlite3').resolve()}"
        for scheme in ("postgresql://", "postgres://"):
            if url.startswith(scheme):
                return "postgresql+psycopg://" + url.removeprefix(scheme)
        return url
