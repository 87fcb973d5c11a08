"""Where readings come from: the protocol of a source, and the providers' own."""

from admission.sources.bolna import Bolna
from admission.sources.elevenlabs import ElevenLabs
from admission.sources.jsonusage import JsonUsage
from admission.sources.protocol import Source
from admission.sources.puretalk import PureTalk
from admission.sources.retell import Retell

__all__ = ["Bolna", "ElevenLabs", "JsonUsage", "PureTalk", "Retell", "Source"]
