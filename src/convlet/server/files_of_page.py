"""The files of the page, and the headers of every answer."""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.responses import Response

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}


def file_of_page(name: str) -> Response | None:
    """A file by its name among those that there are; "" is the page itself."""
    name = name or "index.html"
    folder = resources.files("convlet.server").joinpath("page")
    found = dict(_files(folder)).get(name)
    if found is None:
        return None
    kind = KINDS[name[name.rindex(".") :]]
    return Response(found.read_bytes(), 200, {"cache-control": "no-cache"}, kind)


def _files(folder: Traversable, above: str = "") -> Iterator[tuple[str, Traversable]]:
    """The files of the page by name, those of folders in it too."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry, f"{above}{entry.name}/")
        elif entry.name[entry.name.rfind(".") :] in KINDS:
            yield f"{above}{entry.name}", entry


def headers_of_all(frame: str | None) -> dict[str, str]:
    """Of every answer: nothing from elsewhere runs in the page, and nothing of it leaves."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob: data:",
        "connect-src": "'self'",
        "media-src": "'self' blob:",
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": frame or "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {what}" for name, what in policy.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(), geolocation=()",
        "cache-control": "no-store",
    }
