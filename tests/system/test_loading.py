"""API and worker leave out of garbage collection what they have loaded; it would hold up every request."""

import subprocess
import sys

import pytest

from tests.servers import Servers
from tests.system.serving import environment

API = """
import gc, uvicorn
uvicorn.Server.run = lambda server, sockets: print(server.config.loaded, gc.get_freeze_count())
from app.cli.main import app
app(["api"])
"""
WORKER = """
import asyncio, gc, sys, arq.worker
gc.freeze = lambda: print("app.inquiries.jobs" in sys.modules, len(gc.get_objects()))

async def start(settings):
    context = {}
    await settings.on_startup(context)
    await settings.on_shutdown(context)

arq.worker.run_worker = lambda settings: asyncio.get_event_loop().run_until_complete(start(settings))
from app.cli.main import app
app(["worker"])
"""


@pytest.mark.parametrize("script", [API, WORKER], ids=["api", "worker"])
def test_what_is_loaded_is_left_out_of_garbage_collection(servers: Servers, script: str) -> None:
    around = environment(servers, servers.clone())
    told = subprocess.run([sys.executable, "-c", script], env=around, capture_output=True, text=True, timeout=60)
    loaded, spared = told.stdout.split()
    assert loaded == "True"
    assert int(spared) > 100_000, told.stderr
