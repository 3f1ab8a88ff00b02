"""The pieces of the report page: one section a file, each a function from plain values to HTML."""
