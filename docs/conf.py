"""How the site is made: `sphinx-build -W -b dirhtml docs site`. It needs no network."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

project = "admission"
copyright = "the authors of admission"  # noqa: A001 - Sphinx's word
version = release = version_of("admission")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "_ext.names",
    "_ext.lua_scripts",
    "_ext.commands",
    "_ext.index_page",
    "_ext.tables",
    "_ext.links",
]
exclude_patterns = ["examples/*/*", "_ext"]
nitpicky = True
# What the standard library and other packages document, links to which would need a network, and type variables.
nitpick_ignore_regex = [
    ("py:class", r"(collections|contextlib|datetime|httpx|redis|prometheus_client|opentelemetry|typing)\..*"),
    (
        "py:class",
        r"datetime|RedisCluster|CollectorRegistry|MeterProvider|TracerProvider|[PT]|admission\..*\.[GW]|Callable\[\[\]",
    ),
    # Callables of tenacity, asyncio and ASGI, told in words where they are taken.
    ("py:class", r"Wait|Stop|Sleep|App"),
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

default_role = "code-name"
maximum_signature_line_length = 90
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_attr_annotations = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = "admission"
html_favicon = "../admission/dashboard/page/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"source_directory": "docs/"}
