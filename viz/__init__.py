"""Tables and arrays to self-contained HTML pages and PNG pictures."""
