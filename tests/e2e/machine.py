"""What the tests ask of the machine: free ports, and files that are written to."""

import contextlib
import ctypes
import os
import select
import signal
import socket
import time

PATIENCE_S = 180  # for what is sure to come, however busy the machine is: only a failure takes so long
LONG_MS = 600_000  # the deadline of a job that is sure to be answered before
BUSY = 4  # how much longer a test may take there than its author thought


def hold_port():
    """A socket on a port of its own. While it is open nobody else is given the port; whoever is told of it can listen
    there, with SO_REUSEADDR (as ZeroMQ and Python's servers do), and where nobody does a connection is refused."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # behind: it is nobody's that had it before
    return held


def port_of(held):
    return held.getsockname()[1]


@contextlib.contextmanager
def standing_still(pid):
    """Stops all threads of a process where they are, until the block is left; to kill it meanwhile is right."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while {_state(pid, task) for task in os.listdir(f"/proc/{pid}/task")} - {"T", None}:
            time.sleep(0.001)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _state(pid, task):
    try:
        with open(f"/proc/{pid}/task/{task}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None  # it had ended before


class FileWatch:
    """Waits until a file is written to, by inotify."""

    MODIFY = 0x2

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(path), self.MODIFY) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def wait(self, timeout):
        if select.select([self.fd], [], [], max(0, timeout))[0]:
            os.read(self.fd, 65536)

    def close(self):
        os.close(self.fd)
