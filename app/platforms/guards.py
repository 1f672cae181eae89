"""Checks of an adapter's parameters, before any request is sent."""

from collections.abc import Sequence, Sized

from app.platforms.contract import AuthExpired, Credentials, Spec, Token


def community_id(c: Credentials) -> str:
    """The community's id on the platform; `ValueError` where it is not known yet (see `Credentials.external_id`)."""
    if c.external_id is None:
        raise ValueError("the community's id is not known yet: call `community` first")
    return c.external_id


def token_kind(c: Credentials, accepted: Sequence[Token], title: str) -> Token:
    """The first of the accepted kinds of token that the credentials have; `AuthExpired` where they have none."""
    for kind in accepted:
        if kind in c.tokens:
            return kind
    raise AuthExpired(f"{title} needs a token for this: {' or '.join(accepted)}", token=accepted[0])


def check_batch(posts: Sized, spec: Spec) -> None:
    """Raise `ValueError` for more posts than one `Adapter.metrics` call takes."""
    if len(posts) > spec.metrics_batch:
        raise ValueError(f"at most {spec.metrics_batch} posts at once")
