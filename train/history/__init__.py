"""What people look at: reads run folders and cards, writes tables, a page and a picture. Knows no model, no loop."""

from train.history.page import write_page
from train.history.timeline import Row, gather, table

__all__ = ["Row", "gather", "table", "write_page"]
