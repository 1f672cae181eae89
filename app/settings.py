"""Everything that can be configured, typed, in one place.

Read from the environment and from a `.env` file in the working directory; the environment
wins. `DATABASE_URL` and `REDIS_URL` are the names every host uses; all else is `INSTEP_*`.
"""

from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DEVELOPMENT_KEY = "ZGV2ZWxvcG1lbnQta2V5LW5vdC1mb3ItcHJvZHVjdGk="
"""A Fernet key that everybody knows: refused in production."""

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
    """The same database as the role that owns the tables; migrations alone use it."""
    redis_url: str = Field(validation_alias=AliasChoices("REDIS_URL", "redis_url"))
    """`redis://host:port/0` or `unix:///path/to/socket`."""
    database_pool: int = Field(default=10, ge=1, le=200)
    """Connections a process keeps to PostgreSQL, for writing and again for reading."""

    secret_keys: Annotated[list[SecretStr], NoDecode] = [SecretStr(DEVELOPMENT_KEY)]
    """Fernet keys, comma separated, the current one first. Old ones still open what they sealed."""

    public_url: str = "http://127.0.0.1:8000"
    """Where the world reaches this service; tracked links and inbound hooks start with it."""
    sign_up: Literal["open", "closed"] = "open"
    """Whether strangers may make a workspace."""
    cors_origins: Annotated[list[str], NoDecode] = []
    """Origins whose pages may call the API from a browser, comma separated."""
    trusted_proxies: Annotated[list[str], NoDecode] = []
    """Addresses or networks whose `X-Forwarded-For` is believed, comma separated."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Less than this is not logged."""
    log_format: Literal["json", "console"] = "json"
    """Lines for programs or for people, to stderr."""

    worker_metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Where a worker serves its Prometheus metrics; 0 takes a free port, which its log names."""
    worker_metrics_host: str = "127.0.0.1"
    """The address that port is opened on. The metrics are not protected: keep it inside."""

    max_body_bytes: int = Field(default=1024 * KIB, ge=KIB)
    """Larger request bodies are refused with 413 while they stream in."""
    requests_per_minute: int = Field(default=1200, ge=1)
    """For one API key; without a key, for one client address."""

    poll_pace: float = Field(default=1.0, gt=0, le=100)
    """Multiplies every polling interval; a demonstration makes it small."""
    platform_urls: dict[str, str] = {}
    """JSON, platform key → base URL, in place of the platform's own; the sandbox uses it."""
    platform_apps: dict[str, dict[str, SecretStr]] = {}
    """JSON, platform key → what it calls this installation's own application (`client_id`, `client_secret` …):
    with it, tokens are renewed before they end."""
    outbound_allow: Annotated[list[str], NoDecode] = []
    """`host:port` pairs that outbound calls may reach although their addresses are private, comma separated."""

    @field_validator("secret_keys", "cors_origins", "trusted_proxies", "outbound_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("database_url", "owner_database_url")
    @classmethod
    def _use_asyncpg(cls, value: str | None) -> str | None:
        """Accept the `postgres://` and `postgresql://` that hosts hand out."""
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
        if self.environment != "production":
            return self
        if any(key.get_secret_value() == DEVELOPMENT_KEY for key in self.secret_keys):
            raise ValueError(
                "INSTEP_SECRET_KEYS is missing: make a key with `instep keys secret` and set it; "
                "without one, anybody could open sealed tokens"
            )
        if not self.public_url.startswith("https://"):
            raise ValueError("INSTEP_PUBLIC_URL must start with https:// in production")
        if "*" in self.cors_origins:
            raise ValueError("INSTEP_CORS_ORIGINS must name its origins in production, not *")
        return self


@lru_cache
def settings() -> Settings:
    """The configuration of this process, read once."""
    return Settings()
