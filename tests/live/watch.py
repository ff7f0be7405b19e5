# SPDX-License-Identifier: BSD-2-Clause
"""watch.py SECONDS COLUMNS ROWS ENDING CMD...: CMD on a terminal of its own, as a person sees it.

Runs CMD for so long, then ends it by SIGINT typed at the terminal (ENDING c), or by SIGTERM (ENDING t). Prints as JSON the
screens that it drew, what stood on the first screen when it had ended, whether the terminal was left as it was, the widest line,
and whether colours were used. The terminal is a small one of our own making: cursor home, erase, the other screen, the cursor.
"""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

seconds, columns, rows, ending = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]


class Screen:
    def __init__(self):
        self.lines = [""]
        self.row = self.column = 0

    def put(self, text):
        while len(self.lines) <= self.row:
            self.lines.append("")
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[:self.column] + text + line[self.column + len(text):]
        self.column += len(text)

    def erase_line(self):
        if self.row < len(self.lines):
            self.lines[self.row] = self.lines[self.row][:self.column]

    def erase_below(self):
        self.erase_line()
        del self.lines[self.row + 1:]


class Terminal:
    def __init__(self):
        self.first, self.other = Screen(), None
        self.cursor_shown, self.colours = True, False
        self.screens, self.widest, self.lowest = [], 0, 0

    def escape(self, code):
        at = self.other or self.first
        if code == "[?1049h":
            self.other = Screen()
        elif code == "[?1049l":
            self.other = None
        elif code in ("[?25l", "[?25h"):
            self.cursor_shown = code[-1] == "h"
        elif code == "[H":
            at.row = at.column = 0
        elif code == "[K":
            at.erase_line()
        elif code == "[J":
            at.erase_below()
            if self.other:
                self.screens.append("\n".join(at.lines))
        elif code.endswith("m"):
            self.colours = True
        else:
            raise ValueError(f"an escape that this terminal does not know: {code!r}")

    def take(self, text):
        for part in re.findall(r"\x1b\[[?0-9;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+|\x1b", text):
            at = self.other or self.first
            if part[0] == "\x1b":
                self.escape(part[1:])
            elif part == "\r":
                at.column = 0
            elif part == "\n":
                at.row += 1
            else:
                at.put(part)
                if self.other:
                    self.widest = max(self.widest, at.column)
                    self.lowest = max(self.lowest, at.row + 1)


child, terminal_fd = pty.fork()
if not child:
    time.sleep(0.2)
    os.execvp(sys.argv[5], sys.argv[5:])
fcntl.ioctl(terminal_fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
before = termios.tcgetattr(terminal_fd)
terminal, data, end = Terminal(), b"", time.monotonic() + seconds
asked, status = False, None
while status is None:
    if select.select([terminal_fd], [], [], 0.1)[0]:
        try:
            data += os.read(terminal_fd, 65536)
        except OSError:
            pass
    if time.monotonic() > end and not asked:
        asked = True
        if ending == "c":
            os.write(terminal_fd, b"\x03")
        else:
            os.kill(child, signal.SIGTERM)
    if time.monotonic() > end + 60:
        os.kill(child, signal.SIGKILL)
    pid, code = os.waitpid(child, os.WNOHANG)
    status = os.waitstatus_to_exitcode(code) if pid else None
while select.select([terminal_fd], [], [], 0.2)[0]:
    try:
        more = os.read(terminal_fd, 65536)
    except OSError:
        break
    if not more:
        break
    data += more
terminal.take(data.decode("utf-8"))
try:
    unchanged = termios.tcgetattr(terminal_fd) == before
except termios.error:
    unchanged = None
json.dump({"status": status, "screens": terminal.screens, "first": "\n".join(terminal.first.lines), "back": terminal.other is None,
           "cursor": terminal.cursor_shown, "unchanged": unchanged, "widest": terminal.widest, "lowest": terminal.lowest,
           "colours": terminal.colours}, sys.stdout)
