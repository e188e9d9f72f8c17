"""Everything that image-text pairs come from, read as lines: an image and what is said about it."""

from pgseg_core.data.prepare.sources.detect import FORMATS, Source, open_source
from pgseg_core.data.prepare.sources.locate import Columns, Reading

__all__ = ["FORMATS", "Columns", "Reading", "Source", "open_source"]
