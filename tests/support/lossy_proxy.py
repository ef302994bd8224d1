"""A TCP proxy that loses answers, as a weak network does: the server did what was asked, and the client never knows."""

import socket
import threading
from contextlib import suppress

CHUNK = 64 * 1024


class LossyProxy:
    """Passes connections on to a server; the answers to the next `losing` requests of one method are lost."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.losing = 0
        self.method = b"POST"
        self.lost = threading.Event()
        """Set once an answer was lost."""
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no further connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(("127.0.0.1", self.target))
        sent = bytearray()
        back = threading.Thread(target=self._answer, args=(server, client, sent), daemon=True)
        back.start()
        with suppress(OSError):
            while chunk := client.recv(CHUNK):
                if chunk.startswith((b"GET ", b"POST ")):
                    sent[:] = chunk[:4096]
                server.sendall(chunk)
            server.shutdown(socket.SHUT_WR)
        back.join()
        for one in (client, server):
            one.close()

    def _answer(self, server: socket.socket, client: socket.socket, sent: bytearray) -> None:
        with suppress(OSError):
            while chunk := server.recv(CHUNK):
                if self._loses(bytes(sent), chunk):
                    client.shutdown(socket.SHUT_RDWR)
                    self.lost.set()
                    return
                client.sendall(chunk)
            client.shutdown(socket.SHUT_WR)

    def _loses(self, request: bytes, chunk: bytes) -> bool:
        with self._lock:
            # A small check goes before the form; only what joins is lost.
            wanted = request.startswith(self.method) and b"-check" not in request.split(b"\r\n", 1)[0]
            if not self.losing or not wanted or not chunk.startswith(b"HTTP/"):
                return False
            self.losing -= 1
            return True
