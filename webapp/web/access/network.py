"""Which network a request comes from, as a keyed hash. The address itself is written nowhere.

A venue's Wi-Fi is one address with hundreds of guests behind it, so this alone is never a reason to refuse anything.
"""

import ipaddress

from flask import request

from webapp.services.selfies.origin import Origin, source_named
from webapp.web.access.hidden import hidden


def hashed(address: str) -> str:
    """24 hexadecimal digits for an address; of IPv6, whose customers have 2⁶⁴ addresses each, for its network."""
    try:
        if ipaddress.ip_address(address).version == 6:
            address = str(ipaddress.ip_network((address, 64), strict=False))
    except ValueError:
        pass  # a socket's name has no network
    return hidden("network", address)


def origin(source: str | None, device: str | None) -> Origin:
    """The origin of a selfie in the present request."""
    address = request.remote_addr
    return Origin(source_named(source), device, hashed(address) if address else None)
