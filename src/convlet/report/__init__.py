"""One HTML page about a network: what it is, how it was trained, how it does.

    page = convlet.report.report(network, data.test.images, data.test.labels, history)
    pathlib.Path("report.html").write_text(page, encoding="utf-8")

Needs matplotlib: pip install "convlet[plots]".
"""

from convlet.report.page import report

__all__ = ["report"]
