"""`python -m sandbox`: the sandbox in its own process."""

import argparse
import asyncio
import contextlib
import gc
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
  GET  /_sandbox/state         the virtual time and every community's size and counts
  POST /_sandbox/clock         {"advance": 3600} or {"speed": 60} or {"at": "2026-11-24T00:00:00Z"}
  POST /_sandbox/faults        {"platform": "vk", "path": "wall.get", "count": 1, "effect": {"type": "drop"}}
  POST /_sandbox/variants      {"mastodon": "gotosocial"}: play another kind of server
  POST /_sandbox/communities/KEY   {"act": "comment", "text": "Are you open?"}: make a simulated person act now
  GET  /_sandbox/ledger        every event so far, as JSON Lines
"""


class _Lines(logging.Formatter):
    """Formats every log record as one line of JSON."""

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
        description="A small social network that speaks the platforms' wire formats, with simulated activity.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        help="port on 127.0.0.1; 0 (the default) reuses the port in --port-file, or takes a free one",
    )
    parser.add_argument(
        "--port-file", type=Path, help="file the port is written to once the server listens; a restart reuses that port"
    )
    parser.add_argument(
        "--seed", type=int, default=7, help="random seed: the same seed gives the same people and texts (default: 7)"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="virtual seconds per real second (default: 1)")
    parser.add_argument(
        "--ledger", type=Path, help="file that records every event; if it exists, the sandbox resumes from it"
    )
    parser.add_argument(
        "--callback-url",
        help="URL that webhook events are sent to; {platform}, {community} and {external_id} are replaced",
    )
    parser.add_argument(
        "--platforms",
        type=lambda value: value.split(","),
        help="comma-separated platforms to simulate (default: all)",
    )
    parser.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="WIRE=NAME",
        help="play another kind of server, such as mastodon=gotosocial, mastodon=takahe or bluesky=chat_down",
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="exit when stdin is closed, as it is when the parent process ends"
    )
    parser.add_argument("--verbose", action="store_true", help="log at INFO; the default is WARNING")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run until stopped. Returns 2 if an option is invalid, the ledger does not match, or the port is taken."""
    arguments = _arguments(argv)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, handlers=[handler])
    gc.disable()  # a history is a million objects, nearly all to stay: visiting them would take an eighth of the time
    try:
        sandbox = build(
            seed=arguments.seed,
            speed=arguments.speed,
            ledger=arguments.ledger,
            callback_url=arguments.callback_url,
            platforms=arguments.platforms,
            variants=dict(one.partition("=")[::2] for one in arguments.variant),
        )
    except (ForeignLedgerError, ValueError, OSError) as problem:
        sys.stderr.write(f"sandbox: {problem}\n")
        return 2
    finally:
        gc.enable()
    gc.freeze()
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
