"""The live page: a network that trains, watched and questioned in a browser (docs/live.md).

    page = convlet.live(network, data, train=True)

Needs uvicorn: pip install "convlet[live]".
"""

from convlet.server.start import LivePage, live

__all__ = ["LivePage", "live"]
