"""`LivePage`: what a program holds of a page that is served."""

from convlet.network import Network
from convlet.run import History
from convlet.server.serving import Serving


class LivePage:
    """A page that is served.

    url: its address; whoever has it may train, and load and save models.  A notebook shows it as a
    link, or in a frame where `live(frame=...)` allows that.
    """

    def __init__(self, serving: Serving, frame: str | None = None) -> None:
        self._serving, self._frame = serving, frame

    @property
    def url(self) -> str:
        return self._serving.url

    @property
    def network(self) -> Network:
        """The network of the page now: a new one after its settings were changed there."""
        return self._serving.session.network

    @property
    def history(self) -> History:
        """Of the run that the page shows."""
        return History(self._serving.session.records[-1].rows)

    def open(self) -> bool:
        """Show it in the browser of this machine -> whether there is one."""
        import webbrowser

        try:
            browser = webbrowser.get()
        except webbrowser.Error:
            return False
        if type(browser) is webbrowser.GenericBrowser:  # of a terminal, which runs no script
            return False
        return browser.open(self._serving.ticket_url())

    def wait(self) -> None:
        """Until the page is closed, or Ctrl-C: for scripts, which would end otherwise."""
        try:
            self._serving.wait()
        except KeyboardInterrupt:
            self.close()
            raise

    def close(self) -> None:
        """End training and the server.  A second call does nothing."""
        self._serving.close()

    def __enter__(self) -> "LivePage":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LivePage({self.url!r})"

    def _repr_html_(self) -> str:
        link = f'<a href="{self.url}" target="_blank" rel="noopener">{self._serving.place}</a>'
        if self._frame is None:
            return f"<p>convlet live: {link}</p>"
        frame = f'<iframe src="{self.url}" title="convlet live" allow="camera"'
        return f'{frame} style="width:100%;height:48rem;border:0"></iframe><p>{link}</p>'
