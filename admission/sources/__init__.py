"""Where readings come from: the protocol of a source, and PureTalk's."""

from admission.sources.protocol import Source
from admission.sources.puretalk import PureTalk

__all__ = ["PureTalk", "Source"]
