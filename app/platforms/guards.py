"""Checks of an adapter's parameters, before any request is sent."""

from collections.abc import Sized

from app.platforms.contract import Credentials, Spec


def community_id(c: Credentials) -> str:
    """The community's id on the platform; `ValueError` where it is not known yet (see `Credentials.external_id`)."""
    if c.external_id is None:
        raise ValueError("the community's id is not known yet: call `community` first")
    return c.external_id


def check_batch(posts: Sized, spec: Spec) -> None:
    """Raise `ValueError` for more posts than one `Adapter.metrics` call takes."""
    if len(posts) > spec.metrics_batch:
        raise ValueError(f"at most {spec.metrics_batch} posts at once")
