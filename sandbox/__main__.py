"""`python -m sandbox`: the sandbox as a process of its own."""

import argparse
import asyncio
import contextlib
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson

from sandbox.ledger import ForeignLedgerError
from sandbox.server import build, serve

_EPILOG = """\
Every platform's API is at its own paths, the control API at /_sandbox/…:
  GET  /_sandbox/communities   the communities, their addresses and tokens
  GET  /_sandbox/state         how the world stands
  POST /_sandbox/clock         {"advance": 3600} or {"speed": 60} or {"at": "2026-11-24T00:00:00Z"}
  POST /_sandbox/faults        {"platform": "vk", "path": "wall.get", "count": 1, "effect": {"type": "drop"}}
  POST /_sandbox/communities/KEY   {"act": "comment", "text": "Are you open?"}: people do something now
  GET  /_sandbox/ledger        everything that happened, JSON Lines
"""


class _Lines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A small social network that speaks the platforms' wire formats, and lives.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=int, default=0, help="on 127.0.0.1; 0 (the default): the port file's, or a free one"
    )
    parser.add_argument("--port-file", type=Path, help="written once it listens; read at the start")
    parser.add_argument("--seed", type=int, default=7, help="the same seed makes the same people and texts (7)")
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds per real second (1)")
    parser.add_argument(
        "--ledger", type=Path, help="file of everything that happens; if it is there, that world is taken up again"
    )
    parser.add_argument(
        "--callback-url", help="where events go; {platform}, {community} and {external_id} are filled in"
    )
    parser.add_argument(
        "--platforms",
        type=lambda value: value.split(","),
        help="whose communities there are, with commas between (all)",
    )
    parser.add_argument("--with-parent", action="store_true", help="end when stdin ends")
    parser.add_argument("--verbose", action="store_true", help="say more than warnings")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run until stopped; 2 where the ledger does not fit or the port is taken."""
    arguments = _arguments(argv)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, handlers=[handler])
    try:
        sandbox = build(
            seed=arguments.seed,
            speed=arguments.speed,
            ledger=arguments.ledger,
            callback_url=arguments.callback_url,
            platforms=arguments.platforms,
        )
    except (ForeignLedgerError, ValueError, OSError) as problem:
        sys.stderr.write(f"sandbox: {problem}\n")
        return 2
    serving = serve(sandbox, port=arguments.port, port_file=arguments.port_file, with_parent=arguments.with_parent)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serving)
    except OSError as problem:
        sys.stderr.write(f"sandbox: {problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
