"""Polling: reading communities' sizes, posts, conversations and counters at intervals.

The job `communities.poll` (`jobs`) runs a `Poll` of one community. It reads each part that is due
(`poll_schedule`) page by page: a page is fetched outside of any transaction, then its items are
stored and published together with the cursor of the next page, so an interrupted poll loses nothing.
Each request first takes its cost from the platform's limits (`rate_limits`); where all communities
need more than those allow, all intervals are multiplied alike (`fair_share`). Counters of communities
that one request can serve are read together, in a metrics group (`batches`).
"""
