"""A terminal that a test reads."""

from __future__ import annotations

import os
import pty
import re
import threading


class Terminal:
    """A pseudo-terminal that a process writes to; what it wrote is read by a thread."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self.master, 4096):
                self.text += data.decode(errors="replace")
        except OSError:
            pass  # the last writer has closed it

    def close(self) -> str:
        os.close(self.slave)
        self._reader.join(5)
        os.close(self.master)
        return self.text


def without_control_sequences(terminal: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal)
