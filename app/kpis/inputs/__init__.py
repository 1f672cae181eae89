"""What KPIs are computed from: one file for each source, each loaded in one round trip.

A source's statement is built once and takes `LoadRequest.parameters`. Its evidence sections return the rows
behind its figures, read from the tables of raw data, not from aggregates.
"""
