"""Benchmarks, each measured against something that does less: `python -m benchmarks <name>`.

Each module is a benchmark with an `async def main(arguments)` and prints a table. Its contenders
run in alternation, and medians and ratios are reported: on a shared machine absolute times say little.
"""
