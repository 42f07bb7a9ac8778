"""`apus predict` as a filter of JSON lines: every line in gets its answer out, in order, or nothing does.

No Spark in here: one process, its pipes, and what its end means.
"""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

# What apus says of the line it stops at; it has answered all lines before that one.
BAD_LINE = re.compile(r"^apus: (?:standard input|-), line (\d+): (.*)$", re.MULTILINE)

# Of the messages of a process, the last so many bytes are kept.
KEPT_MESSAGES = 16 << 10


class ApusFailed(RuntimeError):
    """The process ended otherwise than it should; the message holds its exit status and what it wrote to standard error."""


@dataclass(frozen=True)
class BadLine:
    """A line that apus refuses, in the place of its answer."""

    reason: str


class ApusProcess:
    """One `apus predict` on pipes. Threads write to it and collect its messages, so that no pipe can fill up unread."""

    def __init__(self, command: Sequence[str]):
        self.command = list(command)
        try:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except OSError as error:
            raise ApusFailed(f"{self.command[0]} cannot be started: {error}") from error
        self.answered = 0
        self._messages = b""
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._write, self._collect)]
        for thread in self._threads:
            thread.start()

    def send(self, lines: Iterable[bytes]) -> None:
        # apus passes blank lines over; here each line has an answer, and a blank one is refused as what is no object.
        self._queue.put(b"".join((line if line.strip() else b"null") + b"\n" for line in lines))

    def end_input(self) -> None:
        self._queue.put(None)

    def answer(self) -> bytes | None:
        """The next answer, without its line end; None where the process ended instead."""
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        self.answered += 1
        return line[:-1]

    def bad_line(self) -> BadLine:
        """After `answer` gave None: the line that the process refused; raises where that was not why it ended."""
        status = self._wait()
        found = BAD_LINE.search(self.messages)
        if status == 2 and found and int(found[1]) == self.answered + 1:
            return BadLine(found[2])
        raise self._failure(status)

    def finish(self) -> None:
        """After the last answer and `end_input`: the process must have no more to say, and end well."""
        rest = self.process.stdout.readline()
        status = self._wait()
        if status != 0 or rest:
            raise self._failure(status)

    def kill(self) -> None:
        """Leaves nothing behind, however far it was."""
        self.process.kill()
        self._wait()

    @property
    def messages(self) -> str:
        return self._messages.decode("utf-8", errors="backslashreplace").strip()

    def _write(self) -> None:
        try:
            with self.process.stdin as pipe:
                while (chunk := self._queue.get()) is not None:
                    pipe.write(chunk)
                    pipe.flush()
        except (OSError, ValueError):
            pass  # It has ended: whoever reads its answers sees that, and asks why.

    def _collect(self) -> None:
        while chunk := self.process.stderr.read1():
            self._messages = (self._messages + chunk)[-KEPT_MESSAGES:]

    def _wait(self) -> int:
        status = self.process.wait()
        self.end_input()
        for thread in self._threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
        return status

    def _failure(self, status: int) -> ApusFailed:
        end = f"with exit status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
        return ApusFailed(
            f"{' '.join(self.command)} ended {end} after {self.answered} answers; its messages: {self.messages or 'none'}")


class ApusFilter:
    """Answers lists of lines with lists of the same length.

    - Parameters:
      - command: starts `apus predict` on standard input, JSON lines in and out.
      - most_bad_lines: so many lines may be refused; each costs the start of another process (some 0.1 s), for apus ends
        at a line that it cannot take. 0: the first one is an error.
    """

    def __init__(self, command: Sequence[str], most_bad_lines: int = 0,
                 start: Callable[[Sequence[str]], ApusProcess] = ApusProcess):
        self.command = command
        self.most_bad_lines = most_bad_lines
        self._start = start
        self._process: ApusProcess | None = None
        self._unanswered: deque[list[bytes]] = deque()
        self._bad = 0
        self._is_last = False

    def answers(self, batches: Iterable[list[bytes]]) -> Iterator[list[bytes | BadLine]]:
        """A batch is sent before the one in front of it is read back, so that apus always has something to do."""
        try:
            for lines in batches:
                self._unanswered.append(lines)
                self._send(lines)
                if len(self._unanswered) > 1:
                    yield self._next_answers()
            self._is_last = True
            if self._process:
                self._process.end_input()
            while self._unanswered:
                yield self._next_answers()
            if self._process:
                self._process.finish()
        finally:
            if self._process:
                self._process.kill()

    def _send(self, lines: list[bytes]) -> None:
        if lines and self._process is None:
            self._process = self._start(self.command)
        if lines:
            self._process.send(lines)

    def _next_answers(self) -> list[bytes | BadLine]:
        lines = self._unanswered[0]
        answers: list[bytes | BadLine] = []
        while len(answers) < len(lines):
            answer = self._process.answer()
            answers.append(self._refused() if answer is None else answer)
            if answer is None:
                self._go_on(after=len(answers))
        self._unanswered.popleft()
        return answers

    def _go_on(self, after: int) -> None:
        """Another process gets what the one that ended did not answer: of the first batch all but the first `after`."""
        self._process = None
        first, *others = self._unanswered
        for lines in (first[after:], *others):
            self._send(lines)
        if self._process and self._is_last:
            self._process.end_input()

    def _refused(self) -> BadLine:
        bad = self._process.bad_line()
        self._bad += 1
        if self._bad > self.most_bad_lines:
            limit = f", more than the {self.most_bad_lines} that a task may have" if self.most_bad_lines else ""
            raise ApusFailed(f"apus refused {self._bad} of the task's rows{limit}; the last because {bad.reason}")
        return bad
