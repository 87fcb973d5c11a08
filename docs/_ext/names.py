"""Links names of the package: in docstrings and signatures, and in the pages each at its first mention."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from docutils import nodes
from sphinx import addnodes
from sphinx.domains.python import PyXRefRole
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from admission import Lane, Policy

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

PACKAGE = "admission."
SETTINGS = {field.name for kind in (Policy, Lane) for field in fields(kind) if "_" in field.name}
"""Settings whose names are nothing else's."""
TWICE = {"Refused"}
"""An error and an event: which one a page means is not known here."""
ATTRIBUTE = re.compile(r"(\.\. (?:py:)?attribute:: \w+\n)((?:(?:   .*)?\n)*?)   (:type: .+\n)")
WORD = re.compile(r"[A-Za-z_]\w*(\.\w+)*(\(\))?")


class Code(PyXRefRole):
    """What stands between backticks in a docstring: code, and a link where it names something of the package."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the code, to be linked later."""
        word = self.text.removesuffix("()")
        if WORD.fullmatch(self.text) and ("." in word or word[0].isupper() or self._is_method(word)):
            self.name = "py:obj"
            return super().run()
        return [nodes.literal(self.rawtext, self.text)], []

    def _is_method(self, word: str) -> bool:
        """Tell whether the class whose docstring this is has such a method."""
        context = self.env.ref_context
        owner = getattr(sys.modules.get(context.get("py:module") or ""), context.get("py:class") or "", None)
        return inspect.isroutine(getattr(owner, word, None))


def tidy_docstring(_app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Write the type of an attribute behind its name, where napoleon writes a field of its own."""
    text = "\n".join([*lines, ""])
    lines[:] = ATTRIBUTE.sub(r"\1   \3\2", text).splitlines()


def tidy_signature(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Leave out what is never given, `misuse`, and write `...` for what stands for an argument that was not given."""
    if signature is None:
        return None, returns
    return re.sub(r"\*misuse: [\w.~]+", "*", signature).replace("= UNSET", "= ..."), returns


def public_name(env: BuildEnvironment, target: str) -> str | None:
    """Return the full name of what is documented as `target`: the full name, or an end of it that is no other's."""
    objects = env.domains.python_domain.objects
    if target in objects:
        return target
    found = [name for name, entry in objects.items() if name.endswith(f".{target}") and not entry.aliased]
    if len(found) > 1:
        # The package's own names are meant where a module has an alike one.
        found = [name for name in found if name == PACKAGE + target]
    return found[0] if found else None


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.Element
) -> nodes.Element | None:
    """Resolve names that are written as the code imports them, and leave as code what stands between backticks."""
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    name = public_name(env, target)
    if name is None and target.startswith(PACKAGE):
        name = public_name(env, target.rpartition(".")[2])
    if name is not None:
        entry = env.domains.python_domain.objects[name]
        return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, name)
    return content if node["reftype"] == "obj" else None


class FirstMention(SphinxPostTransform):
    """Links the code words of a page that name something of the package, each at its first mention."""

    default_priority = 20
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Link them."""
        seen: set[str] = set()
        for literal in list(self.document.findall(nodes.literal)):
            text = literal.astext().removesuffix("()")
            if text in seen or literal.get("classes") or self._is_linked(literal):
                continue
            place = self._place(text)
            if place is None:
                continue
            seen.add(text)
            here = place[0] == self.env.docname
            uri = "" if here else self.app.builder.get_relative_uri(self.env.docname, place[0])
            reference = nodes.reference("", "", internal=True, refuri=f"{uri}#{place[1]}")
            literal.replace_self(reference)
            reference += literal

    def _place(self, text: str) -> tuple[str, str] | None:
        """Return the page, and the place in it, that tells of a code word."""
        if text in SETTINGS:
            return "reference/settings", text.replace("_", "-")
        name = self._name(text)
        if name is None or text in TWICE:
            return None
        entry = self.env.domains.python_domain.objects[name]
        return entry.docname, entry.node_id

    def _name(self, text: str) -> str | None:
        """Return what a code word names: a class or function of the package, or a member with its class before it."""
        if not text.replace(".", "").replace("_", "").isalnum():
            return None
        owner, _, member = text.rpartition(".")
        if owner.lower() in {"guard", "reservation"} and owner.islower():
            return public_name(self.env, f"{owner.title()}.{member}")
        return public_name(self.env, text) if owner or text[0].isupper() else None

    @staticmethod
    def _is_linked(literal: nodes.Node) -> bool:
        node = literal.parent
        while node is not None:
            if isinstance(node, nodes.reference | nodes.title | addnodes.pending_xref | addnodes.desc):
                return True
            node = node.parent
        return False


def setup(app: Sphinx) -> dict[str, bool]:
    """Add it to the site."""
    app.add_role("code-name", Code())
    app.connect("autodoc-process-docstring", tidy_docstring, priority=900)
    app.connect("autodoc-process-signature", tidy_signature)
    app.connect("missing-reference", resolve)
    app.add_post_transform(FirstMention)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
