"""The live page: a network that trains, watched and questioned in a browser (docs/live.md).

    page = convlet.live(network, data, train=True)

Needs starlette and uvicorn: pip install "convlet[live]".
"""

from convlet.server.callback import Live
from convlet.server.live_page import LivePage
from convlet.server.start import live

__all__ = ["Live", "LivePage", "live"]
