"""The testing kit: a stand-in provider that judges, a server, a clock turned by hand, guards that let all through."""

from admission.clocks import VirtualClock
from admission.testing.fake import FakePureTalk
from admission.testing.inactive import deactivate
from admission.testing.server import Served, serve

__all__ = ["FakePureTalk", "Served", "VirtualClock", "deactivate", "serve"]
