"""The documentation page, served without files from other hosts: it works offline."""

from typing import Final

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from app.kit.pages import content_security_policy

FILES: Final = "/docs/files"


def install(app: FastAPI) -> None:
    """Serve Swagger UI at `/docs`, and redirect `/` there."""
    app.mount(FILES, StaticFiles(packages=[("fastapi_swagger", "resources")]), name="docs-files")

    async def page(request: Request) -> Response:
        root = request.scope.get("root_path", "").rstrip("/")
        response = get_swagger_ui_html(
            openapi_url=f"{root}{app.openapi_url}",
            title=f"{app.title} — API",
            swagger_js_url=f"{root}{FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{FILES}/swagger-ui.css",
            swagger_favicon_url=f"{root}{FILES}/favicon-32x32.png",
            swagger_ui_parameters={
                "persistAuthorization": True,
                "displayRequestDuration": True,
                "filter": True,
                "defaultModelsExpandDepth": 0,
            },
        )
        response.headers["Content-Security-Policy"] = content_security_policy(
            bytes(response.body).decode(),
            connect_src="'self'",
            img_src="'self' data:",
            script_src="'self'",
            style_src="'self' 'unsafe-inline'",  # Swagger UI sets styles of elements
        )
        return response

    async def home(request: Request) -> Response:
        return RedirectResponse(f"{request.scope.get('root_path', '').rstrip('/')}/docs")

    app.add_route("/docs", page, include_in_schema=False)
    app.add_route("/", home, include_in_schema=False)
