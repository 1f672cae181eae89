"""All configuration, typed.

Read from the environment and from a `.env` file in the working directory; the environment
wins. `DATABASE_URL` and `REDIS_URL` are the names that hosting providers use; all others are `INSTEP_*`.
"""

import json
import re
from email.utils import parseaddr
from functools import lru_cache
from typing import Annotated, Literal, Self

from cryptography.fernet import Fernet
from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEVELOPMENT_KEY = "ZGV2ZWxvcG1lbnQta2V5LW5vdC1mb3ItcHJvZHVjdGk="
"""A published Fernet key: refused in production."""

KIB = 1024


class Settings(BaseSettings):
    """The configuration of one process."""

    model_config = SettingsConfigDict(
        env_prefix="INSTEP_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    environment: Literal["development", "test", "production"] = "development"
    """`production` refuses what is unsafe: the development key, a public URL without https, CORS for `*`."""

    database_url: str = Field(validation_alias=AliasChoices("DATABASE_URL", "database_url"))
    """`postgresql+asyncpg://…`, as the runtime role: ordinary, subject to row-level security."""
    owner_database_url: str | None = None
    """The same database, as the role that owns the tables; used by migrations alone."""
    redis_url: str = Field(validation_alias=AliasChoices("REDIS_URL", "redis_url"))
    """`redis://host:port/0` or `unix:///path/to/socket`."""
    database_pool: int = Field(default=10, ge=1, le=200)
    """Size of each connection pool of a process: one for transactions, two for reads."""

    secret_keys: Annotated[list[SecretStr], NoDecode] = [SecretStr(DEVELOPMENT_KEY)]
    """Fernet keys, comma separated, the current one first. Old ones still open what they sealed."""

    public_url: str = "http://127.0.0.1:8000"
    """The service's URL on the internet; tracked links and inbound hooks begin with it."""
    sign_up: Literal["open", "closed"] = "open"
    """Whether anybody may create a workspace."""
    cors_origins: Annotated[list[str], NoDecode] = []
    """Origins whose pages may call the API from a browser, comma separated; `http://localhost:*` is any port."""
    trusted_proxies: Annotated[list[str], NoDecode] = []
    """Addresses or networks of proxies whose `X-Forwarded-For` is used, comma separated."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    log_format: Literal["json", "console"] = "json"
    """Format of the log on stderr: JSON, or for reading in a terminal."""

    worker_metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Port of a worker's Prometheus metrics (None: not served); 0 takes a free one, which its log names."""
    worker_metrics_host: str = "127.0.0.1"
    """The address that the port listens on. The metrics need no credential: do not expose it."""

    max_body_bytes: int = Field(default=1024 * KIB, ge=KIB)
    """Larger request bodies are refused with 413."""
    requests_per_minute: int = Field(default=1200, ge=1)
    """For one API key; without a key, for one client address."""

    poll_interval_multiplier: float = Field(default=1.0, gt=0, le=100)
    """Multiplies every polling interval; a demonstration sets a small one."""
    platform_urls: Annotated[dict[str, str], NoDecode] = {}
    """JSON, platform key → base URL, in place of the platform's own; for the sandbox."""
    platform_apps: Annotated[dict[str, dict[str, SecretStr]], NoDecode] = {}
    """JSON, platform key → credentials of this installation's application on it (`client_id`, `client_secret` …),
    with which tokens are refreshed before they expire."""
    outbound_allow: Annotated[list[str], NoDecode] = []
    """`host:port` pairs that outbound calls may reach although their addresses are private, comma separated."""

    smtp_host: str | None = None
    """The mail server through which this installation sends: invitations, new passwords, alerts. None: it sends no
    mail."""
    smtp_port: int = Field(default=587, ge=1, le=65535)
    """The mail server's port: mostly 587 with `starttls`, 465 with `tls`."""
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted: from a first command on, from the start, or, within a machine, not at all."""
    smtp_user: str | None = None
    """The name with which to sign in to the mail server; none: it is used without."""
    smtp_password: SecretStr | None = None
    """The password that belongs to the name."""
    smtp_sender: str | None = None
    """The address from which mail comes, `instep@agency.example` or `Step & Co <instep@agency.example>`."""

    @field_validator("secret_keys", "cors_origins", "trusted_proxies", "outbound_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("platform_urls", "platform_apps", mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        """JSON, parsed here and not by pydantic-settings, whose error would hide those of all other settings."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value or "{}")
        except ValueError:
            raise ValueError("must be a JSON object") from None

    @field_validator("secret_keys")
    @classmethod
    def _are_fernet_keys(cls, keys: list[SecretStr]) -> list[SecretStr]:
        for number, key in enumerate(keys, 1):
            try:
                Fernet(key.get_secret_value())
            except ValueError:
                which = "holds" if len(keys) == 1 else f"has, as number {number},"
                raise ValueError(f"{which} what is no Fernet key: make one with `instep keys secret`") from None
        return keys

    @field_validator("smtp_host", "smtp_user", "smtp_sender", "smtp_password", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("smtp_sender")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        _, address = parseaddr(value)
        if not re.fullmatch(r"[\x21-\x7e]+@[\x21-\x7e]+", address) or not value.isprintable():
            raise ValueError("must be an e-mail address, with or without a name before it")
        return value

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _use_asyncpg(cls, value: str | None) -> str | None:
        """Accept the `postgres://` and `postgresql://` URLs of hosting providers."""
        if value is None:
            return None
        scheme, separator, rest = value.partition("://")
        if not separator or scheme not in {"postgres", "postgresql", "postgresql+asyncpg"}:
            raise ValueError("must start with postgresql://")
        return f"postgresql+asyncpg://{rest}"

    @model_validator(mode="after")
    def _safe_in_production(self) -> Self:
        if not self.secret_keys:
            raise ValueError("INSTEP_SECRET_KEYS must hold at least one Fernet key")
        if self.smtp_host is not None and self.smtp_sender is None:
            raise ValueError("INSTEP_SMTP_SENDER is missing: INSTEP_SMTP_HOST is set, and mail needs a sender")
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError("INSTEP_SMTP_USER and INSTEP_SMTP_PASSWORD belong together: set both or none")
        if self.environment != "production":
            return self
        problems = []
        if self.smtp_tls == "none" and self.smtp_user is not None:
            problems.append("INSTEP_SMTP_TLS must not be none in production where a password is sent")
        if any(key.get_secret_value() == DEVELOPMENT_KEY for key in self.secret_keys):
            problems.append(
                "INSTEP_SECRET_KEYS is missing: make a key with `instep keys secret` and set it; "
                "without one, anybody could open sealed tokens"
            )
        if not self.public_url.startswith("https://"):
            problems.append("INSTEP_PUBLIC_URL must start with https:// in production")
        if "*" in self.cors_origins:
            problems.append("INSTEP_CORS_ORIGINS must name its origins in production, not *")
        if problems:
            raise ValueError("\n".join(problems))
        return self


@lru_cache
def settings() -> Settings:
    """The configuration of this process, read once."""
    return Settings()
