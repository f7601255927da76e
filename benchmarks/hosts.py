"""Several hosts on one machine: network namespaces, and between them a delay and a rate.

Each host is a namespace of its own with one network device, whose other end is a process, the
relay: it passes every packet on to the host that it is for, after the time that a cable of that
rate and that delay takes.  It works below TCP, so that nothing that runs in a host knows of it.
Where a kernel has `sch_netem`, `tc` could do the same; many kernels of virtual machines have not.

`inside` runs a program where it may make hosts: in namespaces of users, processes, mounts and
networks that end with it, in whatever way it ends, and with all that it made.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress

TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
TUN, PLAIN, WITH_HEADER = 0x0001, 0x1000, 0x4000
CHECKSUMS, LARGE_SEGMENTS = 1, 2
"""Of linux/if_tun.h: as between veth devices, TCP's segments of up to 64 kB stay whole."""

HEADER = 10  # bytes of virtio_net_hdr before each packet
LARGEST = HEADER + 65_536
NETWORK = "10.77.0"
PIPE = "CONVLET_HOSTS"  # in the environment of the program that is inside
LATE = 1e-4
"""Seconds that a sleeping process may be woken late here; the relay is awake for so long before."""


def inside() -> None:
    """Run this program again where it may make hosts, and end with its status; once there, go on.

    What runs there ends when this process does, be it by a signal.  Raises SystemExit with what is
    missing.
    """
    pipe = os.environ.pop(PIPE, None)
    if pipe is not None:
        threading.Thread(target=_end_with, args=(int(pipe),), daemon=True).start()
        return
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise SystemExit("hosts need /dev/net/tun: run it as root, with the kernel's module tun")
    alone = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        alone += ["--user", "--map-root-user"]
    end, _mine = os.pipe()  # the other end stays with this process alone
    command = [*alone, sys.executable, *sys.argv]
    there = subprocess.Popen(command, pass_fds=[end], env={**os.environ, PIPE: str(end)})
    raise SystemExit(there.wait())


def _end_with(pipe: int) -> None:
    """End at once with whoever holds the pipe, and so all processes of this namespace."""
    os.read(pipe, 1)
    os._exit(1)


class Hosts:
    """Hosts 0 to count - 1, each with its address; closed with `close` or the process."""

    def __init__(self, count: int) -> None:
        """Raises SystemExit where the machine does not let it."""
        _do("mount", "-t", "tmpfs", "hosts", "/run")  # names of namespaces; seen by nobody else
        _do("ip", "link", "set", "lo", "up")
        ends = [_device(f"host{n}") for n in range(count)]
        for n in range(count):
            _do("ip", "netns", "add", f"host{n}")
            _do("ip", "link", "set", f"host{n}", "netns", f"host{n}", "name", "eth0")
            for device in ("lo", "eth0"):
                _do("ip", "-n", f"host{n}", "link", "set", device, "up")
            _do("ip", "-n", f"host{n}", "address", "add", f"{self.address(n)}/24", "dev", "eth0")
        command = [sys.executable, __file__, *map(str, ends)]
        self.relay = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=ends)
        for end in ends:
            os.close(end)
        self.programs: list[subprocess.Popen[str]] = []

    def address(self, host: int) -> str:
        return f"{NETWORK}.{host + 1}"

    def link(self, delay: float, rate: float) -> None:
        """From now on a packet takes delay seconds one way; each host sends rate bits a second."""
        assert self.relay.stdin is not None
        self.relay.stdin.write(struct.pack("dd", delay, rate))
        self.relay.stdin.flush()
        time.sleep(2 * delay + 0.05)

    def start(self, host: int, *command: str, **options) -> subprocess.Popen[str]:
        """A program in a host."""
        there = ["ip", "netns", "exec", f"host{host}", *command]
        self.programs.append(subprocess.Popen(there, text=True, **options))
        return self.programs[-1]

    def close(self) -> None:
        """End what was started; the namespaces end with the process of `inside`."""
        for program in (*self.programs, self.relay):
            program.terminate()
        for program in (*self.programs, self.relay):
            with suppress(subprocess.TimeoutExpired):
                program.wait(5)
            program.kill()


def _do(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")


def _device(name: str) -> int:
    """A device for packets of IP, and the end of it that the relay holds."""
    end = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH22x", name.encode(), TUN | PLAIN | WITH_HEADER))
    fcntl.ioctl(end, TUNSETOFFLOAD, CHECKSUMS | LARGE_SEGMENTS)
    return end


def relay(ends: list[int], orders: int = 0) -> None:
    """Pass packets on until the orders end, 16 bytes each: a new delay and a new rate."""
    with suppress(PermissionError):  # else work on both cores would delay it
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    to = {bytes((*map(int, NETWORK.split(".")), n + 1)): end for n, end in enumerate(ends)}
    delay, rate = 0.0, float("inf")
    free = dict.fromkeys(ends, 0.0)  # when the cable of a host has sent what it was given
    due: deque[tuple[float, int, bytes]] = deque()
    while True:
        wait = max(0.0, due[0][0] - time.perf_counter() - LATE) if due else None
        for end in select.select([orders, *ends], [], [], wait)[0]:
            packet = os.read(end, LARGEST)
            if end == orders:
                if not packet:
                    return
                delay, rate = struct.unpack("dd", packet)
                continue
            other = to.get(packet[HEADER + 16 : HEADER + 20])
            if other is not None:
                now = time.perf_counter()
                free[end] = max(now, free[end]) + 8 * (len(packet) - HEADER) / rate
                due.append((free[end] + delay, other, packet))
        if len(due) > 1:
            due = deque(sorted(due, key=lambda one: one[0]))
        while due and due[0][0] <= time.perf_counter():
            os.write(due[0][1], due.popleft()[2])


if __name__ == "__main__":
    relay([int(end) for end in sys.argv[1:]])
