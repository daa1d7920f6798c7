"""Which addresses belong to the open internet, by IANA's registries and not by the Python in use.

Sources: the IPv4 and IPv6 Special-Purpose Address Registries (copies read on 2026-11-28; the latter was updated on
2025-10-09, its newest entry is RFC 9780's of 2025-04), and the IPv6 address space, of which only 2000::/3 is global
unicast: https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry.

A block counts as special where its entry does not say that it is globally reachable. The anycast services inside
192.0.0.0/24 and 2001::/23 are globally reachable on paper, but the nearest device answers them, which may be one of a
private network: those blocks are refused as a whole.
"""

from __future__ import annotations

import ipaddress
import re

_SPECIAL_IPV4 = [
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private use
        "100.64.0.0/10",  # shared address space of carriers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link local, metadata services of clouds
        "172.16.0.0/12",  # private use
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays, withdrawn
        "192.168.0.0/16",  # private use
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the limited broadcast
        # Azure answers its machines' own metadata here; the address is in a public range, nothing public is behind it.
        "168.63.129.16/32",
    )
]
_SPECIAL_IPV6 = [
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID and others
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries any IPv4 address
        "3ffe::/16",  # the 6bone, given back
        "3fff::/20",  # documentation
    )
]
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
_MOST_PARTS = 4


def is_public(text: str) -> bool:
    """Return whether a literal address belongs to the open internet.

    Carriers of IPv4 addresses (mapped, compatible, 6to4, Teredo) are refused; NAT64 counts as what it leads to, because
    in a network without IPv4 every public host is reached through it.
    """
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in block for block in _SPECIAL_IPV4)
    if address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    return address in _GLOBAL_UNICAST and not any(address in block for block in _SPECIAL_IPV6)


def literal(host: str) -> str | None:
    """Return the canonical text of the address that a host is written as, in any form; None for a name.

    Forms of IPv4: those of C's `inet_aton`, which resolvers and proxies take: one to four numbers, decimal, octal (`0`)
    or hexadecimal (`0x`), of which the last fills the rest.
    """
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        parts = host.removesuffix(".").split(".")
    if len(parts) > _MOST_PARTS or not all(map(_NUMBER.fullmatch, parts)):
        return None
    try:
        numbers = [_number(part) for part in parts]
        packed = b"".join(bytes([number]) for number in numbers[:-1]) + numbers[-1].to_bytes(5 - len(parts), "big")
    except (ValueError, OverflowError):  # an 8 in an octal number, or one that is too large: resolvers refuse it too
        return None
    return str(ipaddress.IPv4Address(packed))


def _number(text: str) -> int:
    if text.lower().startswith("0x"):
        return int(text[2:] or "0", 16)
    return int(text, 8) if text.startswith("0") else int(text)
