"""Requests that are safe to repeat or known not to be, over connections that lead nowhere private."""

from __future__ import annotations

from tap_exports.engine.http import fields
from tap_exports.engine.http.client import Client
from tap_exports.engine.http.connections import BrokenReplyError, NotConnectedError
from tap_exports.engine.http.guard.origins import safe_url
from tap_exports.engine.http.outage import Outage
from tap_exports.engine.http.pace import Pace, RateGate
from tap_exports.engine.http.reply import Reply, plain_error
from tap_exports.engine.http.transport import HttpSettings, Transport

__all__ = [
    "BrokenReplyError",
    "Client",
    "HttpSettings",
    "NotConnectedError",
    "Outage",
    "Pace",
    "RateGate",
    "Reply",
    "Transport",
    "fields",
    "plain_error",
    "safe_url",
]
