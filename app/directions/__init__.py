"""The directions of a project's team: content, promotion, community, management. Who holds each, and what is done."""
