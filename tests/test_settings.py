"""Settings: typed, and refused with a clear message when something is missing or unsafe."""

import pytest
from cryptography.fernet import Fernet
from pydantic import ValidationError

from app.settings import Settings

SAFE = {
    "database_url": "postgresql://app@db/instep",
    "redis_url": "redis://valkey:6379/0",
    "environment": "production",
    "secret_keys": Fernet.generate_key().decode(),
    "public_url": "https://instep.example",
}


def settings_with(**changed: object) -> Settings:
    return Settings(_env_file=None, **{**SAFE, **changed})  # type: ignore[arg-type]  # as text, as the environment has it


def test_a_safe_production_configuration_is_accepted() -> None:
    settings = settings_with(cors_origins="https://a.example, https://b.example")
    assert settings.database_url == "postgresql+asyncpg://app@db/instep"
    assert settings.cors_origins == ["https://a.example", "https://b.example"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"secret_keys": "ZGV2ZWxvcG1lbnQta2V5LW5vdC1mb3ItcHJvZHVjdGk="}, "INSTEP_SECRET_KEYS is missing"),
        ({"secret_keys": ""}, "at least one"),
        ({"public_url": "http://instep.example"}, "INSTEP_PUBLIC_URL must start with https"),
        ({"cors_origins": "*"}, "INSTEP_CORS_ORIGINS must name"),
        ({"database_url": "mysql://db"}, "must start with postgresql"),
        ({"requests_per_minute": "0"}, "greater than or equal to 1"),
        ({"environment": "staging"}, "production"),
        ({"secret_keys": "short"}, "holds what is no Fernet key"),
        ({"secret_keys": f"{SAFE['secret_keys']},short"}, "has, as number 2, what is no Fernet key"),
        ({"platform_urls": "no JSON"}, "must be a JSON object"),
        ({"platform_apps": '["vk"]'}, "valid dictionary"),
    ],
)
def test_unsafe_and_invalid_settings_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings_with(**changed)


def test_keys_are_not_shown() -> None:
    assert str(SAFE["secret_keys"]) not in repr(settings_with())


def test_settings_are_read_from_the_environment(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://app@db/instep")
    monkeypatch.setenv("REDIS_URL", "redis://valkey")
    monkeypatch.setenv("INSTEP_POLL_INTERVAL_MULTIPLIER", "0.5")
    settings = Settings(_env_file=None)
    assert (settings.redis_url, settings.poll_interval_multiplier) == ("redis://valkey", 0.5)
