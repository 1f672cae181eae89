"""Instep."""

import zoneinfo

# The rules of the pinned package `tzdata`, not the system's, whatever edition that has: see `projects.zones`.
zoneinfo.reset_tzpath(to=())
