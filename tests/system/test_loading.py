"""API and worker collect no garbage while they load, and exclude what they have loaded from collection."""

import subprocess
import sys

import pytest

from tests.servers import Servers
from tests.system.serving import environment

API = """
import gc, uvicorn
collect = gc.collect
gc.collect = lambda: (print(gc.isenabled()), collect())
uvicorn.Server.run = lambda server, sockets: print(server.config.loaded, gc.get_freeze_count(), gc.isenabled())
from app.cli.main import app
app(["api"])
"""
WORKER = """
import asyncio, gc, sys, arq.worker
gc.freeze = lambda: print(gc.isenabled(), "app.inquiries.jobs" in sys.modules, len(gc.get_objects()))

async def start(settings):
    context = {}
    await settings.on_startup(context)
    print(gc.isenabled())
    await settings.on_shutdown(context)

arq.worker.run_worker = lambda settings: asyncio.get_event_loop().run_until_complete(start(settings))
from app.cli.main import app
app(["worker"])
"""


@pytest.mark.parametrize("script", [API, WORKER], ids=["api", "worker"])
def test_what_is_loaded_is_excluded_from_garbage_collection(servers: Servers, script: str) -> None:
    variables = environment(servers, servers.clone())
    result = subprocess.run([sys.executable, "-c", script], env=variables, capture_output=True, text=True, timeout=60)
    while_loading, loaded, frozen, afterwards = result.stdout.split()
    assert (while_loading, loaded, afterwards) == ("False", "True", "True"), result.stderr
    assert int(frozen) > 100_000, result.stderr
