"""The parts of YouTube's responses that are read. Source: the discovery document of youtube.v3.

A response has a `kind`, and leaves out empty lists and hidden counters.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Generic, Self, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from app.platforms import wire

T = TypeVar("T")


def _count(value: object) -> object:
    """YouTube sends its counters (`uint64`) as texts."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20
    return int(value) if digits and isinstance(value, str) else value


TextCount = Annotated[wire.Count, BeforeValidator(_count)]
CommentId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,200}$")]
"""The id of an answer is that of the comment it answers, a full stop, and an id of its own."""


class Listing(wire.Model, Generic[T]):
    """The envelope of every list; it has a kind or items: `{}` is no list."""

    kind: wire.StorableText = ""
    next_page: wire.StorableText | None = Field(None, alias="nextPageToken")
    items: tuple[T, ...] = ()

    @model_validator(mode="after")
    def _require_kind_or_items(self) -> Self:
        if not self.kind and "items" not in self.model_fields_set:
            raise ValueError("neither kind nor items")
        return self


# ── channels ──────────────────────────────────────────────────────────────────────────────────────


class ChannelSnippet(wire.Model):
    title: wire.StorableText
    handle: wire.StorableText | None = Field(None, alias="customUrl")


class ChannelStatistics(wire.Model):
    subscribers: TextCount | None = Field(None, alias="subscriberCount")
    hidden: bool = Field(False, alias="hiddenSubscriberCount")


class Playlists(wire.Model):
    """The ids of a channel's playlists; the id of one that does not exist may be an empty text."""

    uploads: Annotated[wire.Id | None, BeforeValidator(lambda value: value or None)] = None


class ChannelDetails(wire.Model):
    playlists: Playlists = Field(Playlists(), alias="relatedPlaylists")


class Channel(wire.Model):
    id: wire.Id
    snippet: ChannelSnippet
    statistics: ChannelStatistics = ChannelStatistics()
    details: ChannelDetails = Field(ChannelDetails(), alias="contentDetails")


# ── videos ────────────────────────────────────────────────────────────────────────────────────────


class Resource(wire.Model):
    video_id: wire.Id | None = Field(None, alias="videoId")


class EntrySnippet(wire.Model):
    added_at: wire.Moment = Field(alias="publishedAt")
    resource: Resource = Field(alias="resourceId")


class Entry(wire.Model):
    """An item of a playlist, whose video may be private or deleted."""

    snippet: EntrySnippet

    @property
    def video_id(self) -> str:
        return self.snippet.resource.video_id or ""


class VideoSnippet(wire.Model):
    published_at: wire.Moment = Field(alias="publishedAt")
    """When the video became public."""
    title: wire.StorableText = ""
    description: wire.StorableText = ""


class VideoStatistics(wire.Model):
    views: TextCount | None = Field(None, alias="viewCount")
    likes: TextCount | None = Field(None, alias="likeCount")
    comments: TextCount | None = Field(None, alias="commentCount")


class VideoStatus(wire.Model):
    privacy: wire.StorableText = Field("public", alias="privacyStatus")


class Counted(wire.Model):
    id: wire.Id
    statistics: VideoStatistics = VideoStatistics()


class Video(Counted):
    snippet: VideoSnippet
    status: VideoStatus = VideoStatus()


# ── comments ──────────────────────────────────────────────────────────────────────────────────────


class AuthorId(wire.Model):
    value: wire.StorableText | None = None


class CommentSnippet(wire.Model):
    author: wire.StorableText = Field("", alias="authorDisplayName")
    author_url: wire.StorableText | None = Field(None, alias="authorChannelUrl")
    author_id: AuthorId | None = Field(None, alias="authorChannelId")
    """Absent or empty where the author's channel is closed."""
    text: wire.StorableText = Field("", alias="textDisplay")
    published_at: wire.Moment = Field(alias="publishedAt")
    updated_at: wire.LenientMoment = Field(None, alias="updatedAt")


class Comment(wire.Model):
    id: CommentId
    snippet: CommentSnippet

    @property
    def author(self) -> str:
        """The id of the author's channel; if that is closed, one that no other author has."""
        author_id = self.snippet.author_id
        return (author_id.value if author_id is not None else None) or f"unknown-{self.id}"


class ThreadSnippet(wire.Model):
    video_id: wire.Id | None = Field(None, alias="videoId")
    """None for a comment on a channel itself, which was possible until 2021."""
    root_comment: Comment = Field(alias="topLevelComment")
    answers: wire.Count = Field(0, alias="totalReplyCount")


class ThreadReplies(wire.Model):
    comments: tuple[Comment, ...] = ()


class Thread(wire.Model):
    id: CommentId
    snippet: ThreadSnippet
    replies: ThreadReplies = ThreadReplies()

    @property
    def author_ids(self) -> Mapping[str, str]:
        """The channel ids of the authors in the response, by their names."""
        return {
            comment.snippet.author: comment.author for comment in (*self.replies.comments, self.snippet.root_comment)
        }


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


class IssuedTokens(wire.Model):
    """Google's response to a refresh token."""

    access: wire.StorableText = Field(alias="access_token", min_length=1)
    lifetime: Annotated[int, Field(gt=0, le=10**9), BeforeValidator(_count)] = Field(alias="expires_in")
    refresh: wire.StorableText | None = Field(None, alias="refresh_token")
    refresh_lifetime: Annotated[int, Field(ge=0, le=10**9), BeforeValidator(_count)] | None = Field(
        None, alias="refresh_token_expires_in"
    )


class TokenInfo(wire.Model):
    scope: wire.StorableText
    lifetime: TextCount | None = Field(None, alias="expires_in")


CHANNELS: Final = TypeAdapter(Listing[Channel])
ENTRIES: Final = TypeAdapter(Listing[Entry])
NEXT_TOKEN: Final = TypeAdapter(Listing[object])
"""A list of which only the token of the next page is read."""
COUNTERS: Final = TypeAdapter(Listing[Counted])
VIDEOS: Final = TypeAdapter(Listing[Video])
THREADS: Final = TypeAdapter(Listing[Thread])
COMMENTS: Final = TypeAdapter(Listing[Comment])
COMMENT: Final = TypeAdapter(Comment)
ISSUED_TOKENS: Final = TypeAdapter(IssuedTokens)
TOKEN_INFO: Final = TypeAdapter(TokenInfo)
