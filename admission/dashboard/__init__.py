"""The dashboard: an account, live on a web page. An ASGI app to be mounted, or served by `admission dashboard`."""

from admission.dashboard.app import LOOPBACK, Dashboard

__all__ = ["LOOPBACK", "Dashboard"]
