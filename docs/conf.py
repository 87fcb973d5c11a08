"""How the site is made: `sphinx-build -W -b dirhtml docs site`."""

from importlib.metadata import version as version_of

project = "admission"
copyright = "the authors of admission"  # noqa: A001 - Sphinx's word
version = release = version_of("admission")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["examples/*/*"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_title = "admission"
html_theme_options = {"source_directory": "docs/"}
