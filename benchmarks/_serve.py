"""One uvicorn process on a socket that is open already: `python -m benchmarks._serve factory fd`."""

import socket
import sys

import uvicorn


def main() -> None:
    """Serve until SIGTERM."""
    factory, listening = sys.argv[1:]
    config = uvicorn.Config(
        factory, factory=True, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )
    # `uvicorn --fd` takes any socket for a Unix one, and leaves Nagle's algorithm on.
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(listening))])


if __name__ == "__main__":
    main()
