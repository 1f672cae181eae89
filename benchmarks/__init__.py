"""What it costs, measured beside something that does less: `python -m benchmarks <name>`.

Each module is a benchmark with an `async def main(arguments)` and prints a table. Its contenders
take turns within one run, and medians and ratios are quoted: on a shared machine a bare time says
little.
"""
