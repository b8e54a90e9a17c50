"""Telling systemd how we are: sd_notify(3) in its whole protocol, which is one datagram."""

from __future__ import annotations

import os
import socket

from agent import log


class Notifier:
    """Sends READY, STATUS, STOPPING and WATCHDOG to the service manager; to nobody when there is none."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._last_status = ""

    def ready(self, status: str) -> None:
        """Say that tasks are being watched for."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self, monotonic_us: int) -> None:
        """Say that the options are being read again."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_us}")

    def alive(self, status: str) -> None:
        """Feed the watchdog, and tell what we do when that changed."""
        message = "WATCHDOG=1"
        if status != self._last_status:
            message += f"\nSTATUS={status}"
            self._last_status = status
        self._send(message)

    def stopping(self) -> None:
        """Say that we are leaving."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto(message.encode(), self._address)
        except OSError as error:
            log.warning("systemd was not told", what=str(error))
            self._address = ""


def watchdog_interval_s() -> float | None:
    """Return how often systemd wants to hear from us at least; None when it does not."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return int(usec) / 2e6 if usec.isdigit() and pid == str(os.getpid()) else None
