#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A server of debug files on this machine alone:  serve.py FOLDER PORTFILE LOG  - writes its port, logs each path asked for, and
answers /buildid/ID/debuginfo with FOLDER/ID."""
import http.server
import os
import sys

folder, port_file, log = sys.argv[1:4]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(log, "a", encoding="utf-8") as f:
            f.write(self.path + "\n")
        parts = self.path.split("/")
        path = os.path.join(folder, os.path.basename(parts[2])) if len(parts) == 4 and parts[3] == "debuginfo" else ""
        if not os.path.isfile(path):
            self.send_error(404)
            return
        data = open(path, "rb").read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open(port_file + ".tmp", "w", encoding="utf-8") as f:
    f.write(str(server.server_port))
os.rename(port_file + ".tmp", port_file)
server.serve_forever()
