"""The HTTP service: middleware, error handling, and the routes found in the rooms' `routes.py`."""

import importlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.access.routing import SECURITY_SCHEMES, Router
from app.kit import docs, errors, events, openapi, sealing, telemetry, web
from app.kit.clock import Clock, SystemClock
from app.kit.compression import Compression
from app.kit.crypto import Keyring
from app.kit.db import Database
from app.kit.doorbell import ArqDoorbell
from app.kit.page_errors import PageErrors
from app.kit.registry import rooms
from app.kit.resources import Doorbell, Resources
from app.kit.route_index import RouteIndex
from app.kit.routing import Route
from app.settings import Settings, settings

ANY_PORT = ":*"
"""At the end of an origin in `INSTEP_CORS_ORIGINS`."""

DESCRIPTION = """\
The back office of a social media marketing agency: clients' projects, communities, posts,
inquiries, and KPIs that anyone can check down to the rows behind them.

**Start:** `POST /v1/workspaces` gives an API key; send it as `Authorization: Bearer isk_…`.
A number that is not known is `null` with a reason, never 0. Every error is a
[problem](https://www.rfc-editor.org/rfc/rfc9457) with a stable `code`.
"""


def routers() -> list[APIRouter]:
    """The routers of all rooms' operations, the public ones first."""
    modules = list(rooms("routes"))
    public = [router for module in modules if isinstance(router := getattr(module, "PUBLIC", None), APIRouter)]
    return public + [router.api for module in modules if isinstance(router := getattr(module, "ROUTER", None), Router)]


def pages() -> list[APIRouter]:
    """The routers of all rooms' pages for browsers, which are no operations."""
    return [router for module in rooms("routes") if isinstance(router := getattr(module, "PAGES", None), APIRouter)]


def operations() -> list[Route]:
    """The operations of all rooms."""
    return [route for router in routers() for route in router.routes if isinstance(route, Route)]


def create_app(
    configuration: Settings | None = None, *, clock: Clock | None = None, doorbell: Doorbell | None = None
) -> FastAPI:
    """The ASGI application, configured from the environment unless `configuration` is given."""
    config, time = configuration or settings(), clock or SystemClock()
    if configuration is None:
        telemetry.configure_logs(level=config.log_level, style=config.log_format)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        db = Database(config.database_url, pool=config.database_pool, clock=time)
        bell = doorbell or ArqDoorbell(config.redis_url)
        try:
            keyring = Keyring(config.secret_keys)
            await db.require_unprivileged_role()
            await sealing.require_keys(db, keyring)
            app.state.resources = Resources(config, time, db, keyring, bell)
            yield
        finally:
            if isinstance(bell, ArqDoorbell):
                await bell.close()
            await db.close()

    app = FastAPI(
        title="Instep",
        version="0.1.0",
        summary="The back office of a social media marketing agency",
        description=DESCRIPTION,
        contact={"name": "Whoever runs this installation", "url": config.public_url},
        license_info={"name": "MIT", "url": "https://opensource.org/license/mit"},
        servers=[{"url": config.public_url.rstrip("/"), "description": "This installation"}],
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would name the request's own Host, which anybody can make up
        separate_input_output_schemas=True,
        telemetry=telemetry.traces(os.environ),
    )
    app.openapi_tags = [
        {"name": module.__name__.split(".")[1], "description": importlib.import_module(module.__package__).__doc__}
        for module in rooms("routes")
        if module.__package__ is not None and module.__package__.count(".") == 1
    ]
    errors.install(app)
    openapi.install(app, SECURITY_SCHEMES, operations())
    docs.install(app)
    events.listen()
    for router in (*routers(), *pages()):
        app.include_router(router)
    app.router.routes.insert(0, RouteIndex(operations()))
    # The last one added is the outermost.
    app.add_middleware(web.BodyLimit, max_bytes=config.max_body_bytes)
    app.add_middleware(Compression)
    app.add_middleware(
        web.RateLimitMiddleware,
        per_minute=config.requests_per_minute,
        trusted_proxies=config.trusted_proxies,
        # Carriers put millions of visitors behind one address; platforms send all events from a few.
        exempt=("/live", "/ready", "/metrics", "/r/", "/hooks/"),
        clock=time,
    )
    if config.cors_origins:
        of_any_port = [re.escape(one.removesuffix(ANY_PORT)) for one in config.cors_origins if one.endswith(ANY_PORT)]
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[one for one in config.cors_origins if not one.endswith(ANY_PORT)],
            allow_origin_regex=f"({'|'.join(of_any_port)}):[0-9]+" if of_any_port else None,
            allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "If-Match",
                "If-None-Match",
                "X-Request-ID",
            ],
            expose_headers=[
                "ETag",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
                "X-Request-ID",
                "Idempotent-Replayed",
            ],
            max_age=600,
        )
    app.add_middleware(web.RequestContext, unlogged_prefixes=("/hooks/", "/live", "/ready", "/metrics"))
    app.add_middleware(PageErrors, paths=("/account", "/s/", "/r/"))
    return app
