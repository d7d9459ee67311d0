"""What the tests ask of the machine: free ports, and files that are written to."""

import ctypes
import os
import select
import socket


def free_ports(count):
    """Ports that nobody has now; all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


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
