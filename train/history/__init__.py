"""What people look at: reads run folders, cards and recorded results, writes tables, a page and a picture."""
