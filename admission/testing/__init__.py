"""The testing kit: a stand-in provider that judges, a server for it, and a clock that tests turn by hand."""

from admission.clocks import VirtualClock
from admission.testing.fake import FakePureTalk
from admission.testing.server import Served, serve

__all__ = ["FakePureTalk", "Served", "VirtualClock", "serve"]
