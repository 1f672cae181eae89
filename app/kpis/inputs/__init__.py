"""What KPIs are computed from: one file for each source, each loaded in one round trip.

A source's statement is built once and takes `LoadRequest.parameters`. Its evidence sections give the rows
behind its figures, taken from the tables where things are first written down.
"""
