"""Record real traffic of this machine's loopback interface into a pcap: HTTP, DNS-like UDP, IPv6, refused connections.

It serves and fetches by itself on 127.0.0.0/8 and ::1, bounded in number and time. Recording needs CAP_NET_RAW.

    python tools/record_loopback.py examples/loopback.pcap.gz
"""

from __future__ import annotations

import gzip
import http.server
import random
import socket
import struct
import sys
import threading
import time
import urllib.request

ETH_P_ALL = 3
SNAPLEN = 400  # headers and the beginning of the payload: enough to look at, small enough to keep
DOCUMENTS = {"/": 300, "/style.css": 4000, "/logo.png": 20000, "/big.bin": 120000}


class Site(http.server.BaseHTTPRequestHandler):
    """A few documents of different sizes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        size = DOCUMENTS.get(self.path)
        self.send_response(200 if size else 404)
        self.send_header("Content-Length", str(size or 0))
        self.end_headers()
        self.wfile.write(bytes(size or 0))

    def log_message(self, format: str, *args: object) -> None:
        pass


class Site6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


def answer(sock: socket.socket, stop: threading.Event) -> None:
    """A UDP server that answers with twice what it got."""
    sock.settimeout(0.2)
    while not stop.is_set():
        try:
            data, peer = sock.recvfrom(2048)
        except TimeoutError:
            continue
        sock.sendto(data * 2, peer)


def make_traffic(seed: int = 1) -> None:
    """Fetch, ask and knock."""
    rng = random.Random(seed)
    stop = threading.Event()
    sites = [http.server.ThreadingHTTPServer((f"127.0.0.{i}", 0), Site) for i in (1, 2, 3)]
    sites.append(Site6(("::1", 0), Site))
    for site in sites:
        threading.Thread(target=site.serve_forever, daemon=True).start()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.5", 0))
    threading.Thread(target=answer, args=(udp, stop), daemon=True).start()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(120):
        site = rng.choice(sites)
        host, port = site.server_address[0], site.server_address[1]
        where = f"[{host}]" if ":" in str(host) else host
        path = rng.choices(list(DOCUMENTS), weights=[6, 5, 3, 1])[0]
        with opener.open(f"http://{where}:{port}{path}", timeout=5) as reply:
            reply.read()
        for _ in range(rng.randrange(6)):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ask:
                ask.settimeout(2)
                ask.sendto(rng.randbytes(rng.randrange(20, 200)), udp.getsockname())
                ask.recv(2048)
        with socket.socket() as knock:
            knock.settimeout(0.2)
            knock.connect_ex((f"127.0.0.{rng.randrange(6, 12)}", rng.choice((22, 23, 445, 3389))))
    stop.set()
    for site in sites:
        site.shutdown()


def main() -> None:
    target = sys.argv[1]
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
    tap.bind(("lo", 0))
    tap.settimeout(0.5)
    worker = threading.Thread(target=make_traffic)
    worker.start()
    packets = 0
    with gzip.GzipFile(target, "wb", 9, mtime=0) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPLEN, 1))
        while True:
            try:
                data, (_, _, kind, _, _) = tap.recvfrom(262144)
            except TimeoutError:
                if not worker.is_alive():
                    break
                continue
            if kind == 4:  # PACKET_OUTGOING: the same packet comes in again
                continue
            now = time.time_ns()
            out.write(struct.pack("<IIII", now // 10**9, now % 10**9, min(len(data), SNAPLEN), len(data)))
            out.write(data[:SNAPLEN])
            packets += 1
    print(f"{packets} packets to {target}")


if __name__ == "__main__":
    main()
