"""The parts of YouTube's answers that we read. Source: the discovery document of youtube.v3.

An answer says its `kind` and leaves out every list that is empty and every counter that is hidden.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Generic, Self, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from app.platforms import wire

T = TypeVar("T")


def _count(value: object) -> object:
    """YouTube writes its counters (`uint64`) as texts."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20
    return int(value) if digits and isinstance(value, str) else value


TextCount = Annotated[wire.Count, BeforeValidator(_count)]
CommentId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,200}$")]
"""An answer's is the comment's that it answers, a full stop, and one of its own."""


class Listing(wire.Shape, Generic[T]):
    """The envelope of every list. It is one by its kind, or by its items: `{}` is none."""

    kind: wire.StorableText = ""
    next_page: wire.StorableText | None = Field(None, alias="nextPageToken")
    items: tuple[T, ...] = ()

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if not self.kind and "items" not in self.model_fields_set:
            raise ValueError("neither kind nor items")
        return self


# ── channels ──────────────────────────────────────────────────────────────────────────────────────


class ChannelSnippet(wire.Shape):
    title: wire.StorableText
    handle: wire.StorableText | None = Field(None, alias="customUrl")


class ChannelStatistics(wire.Shape):
    subscribers: TextCount | None = Field(None, alias="subscriberCount")
    hidden: bool = Field(False, alias="hiddenSubscriberCount")


class Playlists(wire.Shape):
    """Of a list that the channel has not, the id is an empty text."""

    uploads: Annotated[wire.Id | None, BeforeValidator(lambda value: value or None)] = None


class ChannelDetails(wire.Shape):
    playlists: Playlists = Field(Playlists(), alias="relatedPlaylists")


class Channel(wire.Shape):
    id: wire.Id
    snippet: ChannelSnippet
    statistics: ChannelStatistics = ChannelStatistics()
    details: ChannelDetails = Field(ChannelDetails(), alias="contentDetails")


# ── videos ────────────────────────────────────────────────────────────────────────────────────────


class Resource(wire.Shape):
    video_id: wire.Id | None = Field(None, alias="videoId")


class EntrySnippet(wire.Shape):
    added_at: wire.Moment = Field(alias="publishedAt")
    resource: Resource = Field(alias="resourceId")


class Entry(wire.Shape):
    """What stands in a playlist: it may be of a video that is private, or deleted."""

    snippet: EntrySnippet

    @property
    def video_id(self) -> str:
        return self.snippet.resource.video_id or ""


class VideoSnippet(wire.Shape):
    published_at: wire.Moment = Field(alias="publishedAt")
    """When it became public."""
    title: wire.StorableText = ""
    description: wire.StorableText = ""


class VideoStatistics(wire.Shape):
    views: TextCount | None = Field(None, alias="viewCount")
    likes: TextCount | None = Field(None, alias="likeCount")
    comments: TextCount | None = Field(None, alias="commentCount")


class VideoStatus(wire.Shape):
    privacy: wire.StorableText = Field("public", alias="privacyStatus")


class Counted(wire.Shape):
    id: wire.Id
    statistics: VideoStatistics = VideoStatistics()


class Video(Counted):
    snippet: VideoSnippet
    status: VideoStatus = VideoStatus()


# ── comments ──────────────────────────────────────────────────────────────────────────────────────


class AuthorId(wire.Shape):
    value: wire.StorableText | None = None


class CommentSnippet(wire.Shape):
    author: wire.StorableText = Field("", alias="authorDisplayName")
    author_url: wire.StorableText | None = Field(None, alias="authorChannelUrl")
    author_id: AuthorId | None = Field(None, alias="authorChannelId")
    """Left out, or empty, where the author's channel is closed."""
    text: wire.StorableText = Field("", alias="textDisplay")
    published_at: wire.Moment = Field(alias="publishedAt")
    updated_at: wire.LenientMoment = Field(None, alias="updatedAt")


class Comment(wire.Shape):
    id: CommentId
    snippet: CommentSnippet

    @property
    def author(self) -> str:
        """Its author's channel; one that is closed is nobody else's."""
        author_id = self.snippet.author_id
        return (author_id.value if author_id is not None else None) or f"unknown-{self.id}"


class ThreadSnippet(wire.Shape):
    video_id: wire.Id | None = Field(None, alias="videoId")
    """None under a channel, where comments stood until 2021."""
    root_comment: Comment = Field(alias="topLevelComment")
    answers: wire.Count = Field(0, alias="totalReplyCount")


class ThreadReplies(wire.Shape):
    comments: tuple[Comment, ...] = ()


class Thread(wire.Shape):
    id: CommentId
    snippet: ThreadSnippet
    replies: ThreadReplies = ThreadReplies()

    @property
    def people(self) -> Mapping[str, str]:
        """Who speaks in it, as far as it is shown: channels by name."""
        return {
            comment.snippet.author: comment.author for comment in (*self.replies.comments, self.snippet.root_comment)
        }


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────


class Fetched(wire.Shape):
    """Google's answer to a refresh token."""

    access: wire.StorableText = Field(alias="access_token", min_length=1)
    lifetime: Annotated[int, Field(gt=0, le=10**9), BeforeValidator(_count)] = Field(alias="expires_in")
    refresh: wire.StorableText | None = Field(None, alias="refresh_token")
    refresh_lifetime: Annotated[int, Field(ge=0, le=10**9), BeforeValidator(_count)] | None = Field(
        None, alias="refresh_token_expires_in"
    )


class TokenInfo(wire.Shape):
    scope: wire.StorableText
    lifetime: TextCount | None = Field(None, alias="expires_in")


CHANNELS: Final = TypeAdapter(Listing[Channel])
ENTRIES: Final = TypeAdapter(Listing[Entry])
AHEAD: Final = TypeAdapter(Listing[object])
"""Of which the next page's token alone is wanted."""
COUNTERS: Final = TypeAdapter(Listing[Counted])
VIDEOS: Final = TypeAdapter(Listing[Video])
THREADS: Final = TypeAdapter(Listing[Thread])
COMMENTS: Final = TypeAdapter(Listing[Comment])
COMMENT: Final = TypeAdapter(Comment)
FETCHED: Final = TypeAdapter(Fetched)
TOKEN_INFO: Final = TypeAdapter(TokenInfo)
