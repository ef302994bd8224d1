"""An SMTP server that keeps what it is given."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from flask import Flask
from pydantic import SecretStr


@dataclass
class Postoffice:
    """A mail server of a few commands, on a port of its own."""

    extensions: tuple[str, ...] = ()
    busy: bool = False
    said: list[str] = field(default_factory=list)
    taken: list[EmailMessage] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def say(*lines: str) -> None:
            for place, line in enumerate(lines):
                code, words = line.split(" ", 1)
                writer.write(f"{code}{' ' if place == len(lines) - 1 else '-'}{words}\r\n".encode())
            await writer.drain()

        await say("220 postoffice")
        while line := (await reader.readline()).decode().strip():
            self.said.append(line)
            command = line.split(" ")[0].split(":")[0].upper()
            if command == "EHLO":
                await say("250 postoffice", *(f"250 {name}" for name in self.extensions))
            elif command == "DATA":
                await say("354 go on")
                self.taken.append(_parse(await reader.readuntil(b"\r\n.\r\n")))
                await say("250 taken")
            elif command == "MAIL" and self.busy:
                await say("451 come back later")
            elif command == "STARTTLS":
                await say("220 go on")
                await writer.start_tls(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
            elif command == "AUTH":
                await say("235 welcome")
            elif command == "QUIT":
                await say("221 bye")
                break
            else:
                await say("250 fine")
        writer.close()


@contextmanager
def open_postoffice(office: Postoffice) -> Iterator[Postoffice]:
    """Let it serve in a thread for the length of the block."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(office.serve, "127.0.0.1", office.port))
    office.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield office
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def with_smtp(app: Flask, url: str) -> None:
    app.extensions["settings"] = app.extensions["settings"].model_copy(update={"smtp_url": SecretStr(url)})


def _parse(content: bytes) -> EmailMessage:
    parsed = message_from_bytes(content, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed
