"""Who else may reach the live page's port: pages elsewhere, other programs of this machine.

Each gets the right status and learns nothing, stderr stays empty, and training goes on as it did.
"""

import io
import socket
import struct
import threading
import webbrowser
import zlib
from contextlib import suppress
from time import monotonic

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convlet
from convlet import InputError
from convlet.server import app as application
from convlet.server import exchange, serving
from live_pages import DATA, JUDGES, LAYERS, PATIENCE, SHAPE, Client, network, received, served

connections = pytest.importorskip("convlet.server.connections")

MARKUP = '<img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def page():
    """A page whose network trains all the time."""
    of = convlet.Network(LAYERS, SHAPE, classes=[MARKUP, "b", "</script>"])
    data = [np.concatenate([part] * 300) for part in DATA]
    with served(of, data, epochs=10**6) as (page, client):
        client.do("start")
        client.until(lambda run: run["step"] > 1)
        yield page


@pytest.fixture
def client(page, capfd):
    """A client with the token; afterwards training has gone on, and nothing was said."""
    client = Client(page)
    before = client.get("/api/state")["run"]
    yield client
    after = client.until(lambda run: moved(run) > moved(before))
    assert after["status"] == "running"
    assert capfd.readouterr() == ("", "")


def moved(run):
    """How far training is."""
    return run["trained"], run["step"]


def assert_refused(found, status):
    """An error in JSON, without a trace, with the headers of every answer."""
    got, value, headers = found
    assert got == status, value
    assert set(value) == {"error"}
    assert "Traceback" not in str(value)
    assert ".py" not in value["error"]["message"]
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]


DEADLINES = {
    "SILENCE": exchange,
    "WHOLE": exchange,
    "LINGER": exchange,
    "HEADERS": connections,
    "UNREAD": connections,
}


def quickly(monkeypatch, *names, seconds=0.1):
    """Deadlines that a test need not wait for; the others stay, for a machine that is busy."""
    for name in names:
        monkeypatch.setattr(DEADLINES[name], name, seconds)


# ------------------------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.evil.example:{port}",
        "127.0.0.1:{port}@evil.example",
        "127.0.0.1.:{port}",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/state", "/api/events"])
def test_a_foreign_host_is_refused(client, host, path):
    found = client.ask("GET", path, host=host.format(port=client.port))
    assert_refused(found, 421)


def test_hosts_that_are_this_one(client):
    for host in (f"localhost:{client.port}", f"LOCALHOST:{client.port}", f"[::1]:{client.port}"):
        assert client.ask("GET", "/api/state", host=host)[0] == 200


def test_two_hosts_are_no_request(client):
    head = client.head("GET", "/", f"Host: {client.place}")
    assert client.raw(head).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:1",
        "null",
        "http://127.0.0.1:{port}.evil.example",
        "file://",
        "",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/api/train")])
def test_a_foreign_origin_is_refused(client, origin, method, path):
    body = {"do": "stop"} if method == "POST" else None
    found = client.ask(method, path, body, origin=origin.format(port=client.port))
    assert_refused(found, 403)


def test_the_own_origin_may_ask(client):
    origin = f"http://{client.place}"
    assert client.ask("GET", "/api/state", origin=origin)[0] == 200


@pytest.mark.parametrize(
    "path", ["/api/state", "/api/events", "/api/model", "/api/nothing", "/api/"]
)
@pytest.mark.parametrize("token", [None, "", "x", "wrong" * 10, "ü"])
def test_without_the_token_there_is_nothing(client, page, path, token):
    other = Client(page)
    other.token = token
    found = other.ask("GET", path)
    assert_refused(found, 401)
    assert found[2]["www-authenticate"] == "Bearer"


def test_a_token_elsewhere_does_not_count(client, page):
    other = Client(page, None)
    for path in (f"/api/state?token={client.token}", f"/api/state#token={client.token}"):
        assert other.ask("GET", path)[0] in (400, 401)
    assert other.ask("GET", "/api/state", cookie=f"token={client.token}")[0] == 401
    assert other.ask("GET", "/api/state", authorization=f"Basic {client.token}")[0] == 401


def test_a_ticket_gets_the_token_once(client, page, monkeypatch):
    other, serving = Client(page, None), page._serving
    path = serving.ticket_url().removeprefix(serving.place)
    assert client.token not in path
    assert other.ask("HEAD", f"/{path}")[0] == 200  # which uses nothing up
    status, _, headers = other.ask("GET", f"/{path}")
    assert (status, headers["location"]) == (303, f"/#token={client.token}")
    assert headers["cache-control"] == "no-store"
    assert_refused(other.ask("GET", f"/{path}"), 403)
    monkeypatch.setattr(application, "TICKET", -1.0)
    path = serving.ticket_url().removeprefix(serving.place)
    assert_refused(other.ask("GET", f"/{path}"), 403)
    assert_refused(other.ask("GET", "/?ticket=x"), 403)
    assert_refused(other.ask("GET", "/?ticket="), 403)


def test_the_browser_gets_a_ticket_and_one_of_the_terminal_nothing(page, monkeypatch):
    opened = []

    class Browser:
        def open(self, url):
            opened.append(url)
            return True

    monkeypatch.setattr(webbrowser, "get", Browser)
    assert page.open()
    assert opened[0].startswith(page._serving.place + "?ticket=")
    monkeypatch.setattr(webbrowser, "get", lambda: webbrowser.GenericBrowser("w3m"))
    assert not page.open()


def test_writes_of_other_sites_do_nothing(client, page):
    """What a form or a script elsewhere may send without asking: no token, and a plain text."""
    body, kind = b'{"do":"stop"}', "text/plain"
    other = Client(page, None)
    assert_refused(other.ask("POST", "/api/train", body, kind), 401)
    found = other.ask("POST", "/api/train", body, kind, origin="http://evil.example")
    assert_refused(found, 403)
    assert_refused(client.ask("POST", "/api/train", body, kind), 415)
    found = other.ask("OPTIONS", "/api/train", origin="http://evil.example")
    assert_refused(found, 403)
    assert not any(name.startswith("access-control") for name in found[2])


# ------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize(
    ("path", "size"),
    [("/api/train", (1 << 18) + 1), ("/api/image", (1 << 25) + 1), ("/api/model", 10**15)],
)
def test_a_huge_body_is_refused_by_its_length(client, path, size, monkeypatch):
    quickly(monkeypatch, "LINGER")
    head = client.head("POST", path, "Content-Type: application/json", f"Content-Length: {size}")
    assert client.raw(head).startswith(b"HTTP/1.1 413 ")


def test_an_endless_body_is_refused_where_it_is_too_long(client, monkeypatch):
    quickly(monkeypatch, "LINGER")
    head = client.head(
        "POST", "/api/train", "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    end = monotonic() + PATIENCE
    with client.connect() as peer:
        peer.sendall(head)
        with suppress(OSError):  # it has hung up
            while monotonic() < end:
                peer.sendall(b"4000\r\n" + b" " * 0x4000 + b"\r\n")
        assert monotonic() < end
        assert received(peer).startswith((b"HTTP/1.1 413 ", b""))


def test_what_is_a_bit_too_long_is_answered(client, monkeypatch):
    quickly(monkeypatch, "LINGER")
    head = client.head(
        "POST", "/api/train", "Content-Type: application/json", "Transfer-Encoding: chunked"
    )
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert client.raw(head + 5 * piece).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("sent", [b"", b"{", b'{"do":'])
def test_a_slow_body_is_given_up(client, monkeypatch, sent):
    quickly(monkeypatch, "SILENCE", "LINGER")
    head = client.head("POST", "/api/train", "Content-Type: application/json", "Content-Length: 50")
    assert client.raw(head + sent).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_trickles_is_given_up(client, monkeypatch):
    monkeypatch.setattr(exchange, "WHOLE", 0.3)
    head = client.head("POST", "/api/train", "Content-Type: application/json", "Content-Length: 50")
    with client.connect() as peer:
        peer.sendall(head)
        peer.settimeout(0.02)
        found = b""
        for _ in range(500):
            try:
                peer.sendall(b" ")
                found = peer.recv(100)
                break
            except TimeoutError:
                pass
        assert found.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
def test_slow_headers_are_given_up(client, monkeypatch, sent):
    quickly(monkeypatch, "HEADERS")
    assert client.raw(sent).startswith(b"HTTP/1.1 408 ")


def test_slow_headers_of_a_second_request_are_given_up(client, monkeypatch):
    quickly(monkeypatch, "HEADERS", seconds=1)
    with client.connect() as peer:
        peer.sendall(client.head("GET", "/api/settings"))
        assert peer.recv(12) == b"HTTP/1.1 200"
        peer.sendall(b"GET /api")
        assert b"HTTP/1.1 408 " in received(peer)


@pytest.mark.parametrize("line", [b"x" * 4096, b"x: y\r\n" * 700])
def test_endless_headers_are_refused(client, line):
    with client.connect() as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nX: y\r\n")
        with suppress(OSError):  # it has hung up
            for _ in range(1000):
                peer.sendall(line)
            pytest.fail("it takes any number of headers")
        assert received(peer).startswith((b"HTTP/1.1 400 ", b""))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b"null",
        b'"x"',
        b"[" * 100_000,
        b'{"do":NaN}',
        b"\xff\xfe",
        b'{"do":' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_object_of_json_is_refused(client, body):
    assert_refused(client.ask("POST", "/api/train", body), 400)


GARBAGE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no path": b"GET\r\n\r\n",
    "another version": b"GET / HTTP/9\r\n\r\n",
    "zeros": b"\0" * 100 + b"\r\n\r\n",
    "another byte": b"GET /\xff HTTP/1.1\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a zero in a header": b"GET / HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_no_request(client, name):
    assert client.raw(GARBAGE[name]).startswith(b"HTTP/1.1 400 ")


def test_garbage_inside_a_body_ends_the_connection(client, monkeypatch):
    quickly(monkeypatch, "LINGER")
    json = "Content-Type: application/json"
    for path in ("/api/train", "/", "/api/events"):
        head = client.head("POST", path, json, "Transfer-Encoding: chunked")
        assert not client.raw(head + b"zz\r\n\r\n").startswith(b"HTTP/1.1 2")
    with client.connect() as peer:  # after the answer has begun
        peer.sendall(client.head("GET", "/api/events", "Transfer-Encoding: chunked"))
        assert peer.recv(12) == b"HTTP/1.1 200"
        peer.sendall(b"zz\r\n\r\n")
        received(peer)


def test_a_websocket_is_not_opened(client):
    head = client.head("GET", "/api/ws", "Upgrade: websocket", "Connection: Upgrade, close")
    assert client.raw(head).startswith(b"HTTP/1.1 404 ")


# -------------------------------------------------------------------------------------- files


def png(columns: int, rows: int, data: bytes) -> bytes:
    """A PNG file that says that it has so many pixels."""
    found = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    for kind, piece in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b"")):
        body = kind + piece
        found += struct.pack(">I", len(piece)) + body + struct.pack(">I", zlib.crc32(body))
    return found


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (70_000_000, 1)])
def test_image_bombs_are_refused(client, size):
    bomb = png(*size, zlib.compress(b"\0" * 100_000))
    assert_refused(client.ask("POST", "/api/image", bomb, "image/png"), 422)


@pytest.mark.parametrize(
    "data", [b"", b"x", MARKUP.encode(), b"\x93NUMPY\x01\x00", b"\x80\x04cos\nsystem\n", b"II*\0"]
)
@pytest.mark.parametrize("path", ["/api/image", "/api/model"])
def test_what_is_no_image_and_no_model_is_refused(client, path, data):
    found = client.ask("POST", path, data, "application/octet-stream")
    assert_refused(found, 422)
    assert "/tmp" not in str(found[1])


def test_an_array_of_objects_is_never_unpickled(client):
    stream = io.BytesIO()
    np.save(stream, np.array([{}, None], dtype=object), allow_pickle=True)
    assert_refused(client.ask("POST", "/api/image", stream.getvalue(), "x/y"), 422)


# -------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/app.py",
        "//etc/passwd",
        "/page/../app.py",
        "/app.py",
        "/../app.py",
        "/.",
        "/index.html/",
        "/index.html%00.png",
        "/<script>alert(1)</script>",
        "/%3Cscript%3E",
        "/\\..\\app.py",
        "/" + "x" * 8000,
    ],
)
def test_only_the_files_of_the_page_are_served(client, path):
    found = client.raw(f"GET {path} HTTP/1.1\r\nHost: {client.place}\r\n\r\n".encode())
    assert found.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")) or found == b""
    assert b"script" not in found.partition(b"\r\n\r\n")[2]


def test_names_with_markup_stay_text(client):
    _, state, headers = client.ask("GET", "/api/state")
    assert state["model"]["classes"][0] == MARKUP
    assert headers["content-type"] == "application/json"
    given = {"ref": {"part": MARKUP, "index": 0}}
    status, found, headers = client.ask("POST", "/api/forward", given)
    assert status == 422
    assert headers["content-type"] == "application/json"
    status, found, headers = client.ask("GET", "/api/report")
    assert (status, MARKUP.encode() in found) == (200, False)
    assert headers["content-disposition"].startswith("attachment")


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline(client):
    for path in ("/", "/api/state", "/nothing"):
        headers = client.ask("GET", path)[2]
        policy = dict(
            part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
        )
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert "http" not in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
    assert client.ask("GET", "/api/state")[2]["cache-control"] == "no-store"


def test_methods_that_are_not_there(client):
    for method, path in (
        ("DELETE", "/api/model"),
        ("PUT", "/api/train"),
        ("POST", "/"),
        ("TRACE", "/api/state"),
    ):
        assert_refused(client.ask(method, path), 405)
    assert client.ask("HEAD", "/")[:2] == (200, b"")


def test_a_failure_inside_says_nothing(client, monkeypatch):
    def fails(*arguments):
        raise RuntimeError("secret")

    monkeypatch.setattr("convlet.server.answers.images", fails)
    found = client.ask("GET", "/api/images")
    assert_refused(found, 500)
    assert "secret" not in str(found[1])


# ------------------------------------------------------------------------------------ numbers


def test_two_hundred_connections_at_once(client):
    peers = [client.connect() for _ in range(200)]
    try:
        for peer in peers:
            with suppress(OSError):  # where it is refused already
                peer.sendall(client.head("GET", "/api/settings", "Connection: close"))
        found = [received(peer)[:12] for peer in peers]
    finally:
        for peer in peers:
            peer.close()
    assert set(found) <= {b"HTTP/1.1 200", b"HTTP/1.1 503", b""}
    assert found.count(b"HTTP/1.1 200") >= 100
    client.until(lambda run: True)


def test_silent_connections_make_room_again(client, monkeypatch):
    quickly(monkeypatch, "HEADERS", seconds=0.2)
    peers = [client.connect() for _ in range(200)]
    try:
        found = [received(peer)[:12] for peer in peers]
    finally:
        for peer in peers:
            peer.close()
    assert set(found) <= {b"HTTP/1.1 408", b"HTTP/1.1 503", b""}
    assert found.count(b"HTTP/1.1 408") >= 100


def test_too_many_listeners_are_refused(client, page):
    hub = page._serving.session.hub
    peers = [client.connect() for _ in range(hub.most + 4)]
    try:
        for peer in peers:
            peer.sendall(client.head("GET", "/api/events"))
        found = [peer.recv(12) for peer in peers]
    finally:
        for peer in peers:
            peer.close()
    assert found.count(b"HTTP/1.1 503") >= 1
    assert found.count(b"HTTP/1.1 200") <= hub.most
    client.until(lambda run: len(hub.boxes) == 0)


def test_a_page_that_reads_nothing_is_left_and_holds_up_nobody(client, page, monkeypatch):
    quickly(monkeypatch, "UNREAD", seconds=0.5)
    hub = page._serving.session.hub
    with client.connect() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(client.head("GET", "/api/events"))
        assert peer.recv(12) == b"HTTP/1.1 200"
        client.until(lambda run: len(hub.boxes) == 1)
        (box,) = hub.boxes
        most, end, n = 0, monotonic() + PATIENCE, 0
        while hub.boxes and monotonic() < end:
            n += 1
            hub.publish({"type": "evaluation", "filler": "x" * 1_000_000})
            hub.publish({"type": "epoch", "run": 1, "epoch": n})
            most = max(most, len(box.pending))
            client.get("/api/settings")
        assert not hub.boxes
        assert most <= 64


class Slow:
    """In the place of a transport, the loop and the flow of a connection: what a peer leaves."""

    def __init__(self):
        self.size, self.timers, self.aborted = 1000, [], False

    def get_write_buffer_size(self):
        return self.size

    def abort(self):
        self.aborted = True

    def call_later(self, seconds, function, *arguments):
        assert seconds == connections.UNREAD
        self.timers.append(lambda: function(*arguments))
        return self

    def cancel(self):
        self.timers.clear()

    def pause_writing(self):
        pass

    resume_writing = pause_writing


def test_a_peer_that_reads_slowly_is_not_left_and_one_that_stops_is():
    peer = Slow()
    connection = connections.Connection.__new__(connections.Connection)
    connection.transport = connection.loop = connection.flow = peer
    connection.unread = None
    connection.pause_writing()
    for _ in range(5):  # many deadlines for one answer
        peer.size -= 1
        peer.timers.pop()()
        assert not peer.aborted
        assert len(peer.timers) == 1
    connection.resume_writing()
    assert not peer.timers
    connection.pause_writing()
    peer.timers.pop()()
    assert peer.aborted


def test_training_under_fire_ends_with_the_same_bits(capfd):
    settings = {"epochs": 200, "batch_size": 8, "seed": 4}
    alone = network()
    alone.fit(*DATA, JUDGES, **settings)
    with served(**settings) as (page, client):
        client.do("start")
        done = threading.Event()

        def fire():
            while not done.is_set():
                client.raw(b"nonsense\r\n\r\n")
                client.ask("POST", "/api/image", png(10**5, 10**5, b""), "image/png")
                client.ask("GET", "/api/state", host="evil.example")
                client.post("/api/backward", ref={"part": "train", "index": 1})

        threads = [threading.Thread(target=fire) for _ in range(4)]
        for thread in threads:
            thread.start()
        client.wait("ended")
        done.set()
        for thread in threads:
            thread.join()
        assert np.array_equal(page.network.flat, alone.flat)
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------------------------- places


def test_it_listens_on_loopback_only():
    with served() as (page, client):
        assert page._serving.socket.getsockname()[0] == "127.0.0.1"
        assert client.token not in page._serving.place


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "example.org", "", "127.0.0.1.nip.io"]
)
def test_another_host_has_to_be_asked_for(host):
    with pytest.raises(InputError, match="host is"):
        serving.check_place(host, 0, False)
    if host:
        serving.check_place(host, 0, True)


@pytest.mark.parametrize("frame", ["*", "http://x; script-src *", "a\r\nb: c", "", "file://x", 3])
def test_a_frame_is_an_origin(frame):
    with pytest.raises(InputError, match="frame is"):
        convlet.live(network(), DATA, browser=False, frame=frame)


def test_an_origin_that_was_named_may_hold_the_page():
    with served(frame="http://localhost:8888") as (page, client):
        policy = client.ask("GET", "/")[2]["content-security-policy"]
        assert policy.endswith("frame-ancestors http://localhost:8888")
        assert "<iframe" in page._repr_html_()


@pytest.mark.parametrize(
    ("host", "place", "ours"),
    [
        ("127.0.0.1", "192.0.2.1:80", False),
        ("0.0.0.0", "192.0.2.1:80", True),
        ("0.0.0.0", "192.0.2.1", True),
        ("0.0.0.0", "[2001:db8::1]:80", True),
        ("0.0.0.0", "evil.example:80", False),
        ("host.example", "host.example:80", True),
        ("host.example", "host.example:81", False),
        ("::1", "[::1]:80", True),
        ("::1", "::1:80", False),
    ],
)
def test_which_names_are_ours_where_others_may_reach_it(host, place, ours):
    app = application.App.__new__(application.App)
    app.host, app.port = host, 80
    assert app._is_ours(place) is ours


OURS = {"127.0.0.1:80", "localhost:80", "[::1]:80", "127.0.0.1", "localhost", "[::1]"}
PIECES = ["127.0.0.1", "localhost", "[::1]", "::1", "[", "]", ":", "80", "81", ".", "@", "0", "x"]


@given(st.lists(st.sampled_from(PIECES), max_size=5).map("".join) | st.text(max_size=20))
def test_no_other_name_is_ours(place):
    app = application.App.__new__(application.App)
    app.host, app.port = "127.0.0.1", 80
    assert app._is_ours(place) == (place.lower() in OURS)


def test_a_port_that_is_taken_is_refused_by_name():
    with served() as (_, client), pytest.raises(InputError, match="port is"):
        convlet.live(network(), DATA, port=client.port, browser=False)


def test_it_can_be_started_again_at_the_same_port():
    with served() as (_, client):
        client.get("/api/state")
    with served(port=client.port) as (_, again):
        assert again.port == client.port
        assert again.token != client.token
        assert again.get("/api/state")["run"]["status"] == "idle"
