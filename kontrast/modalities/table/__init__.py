"""Tables: the plain columns of a row (numbers, categories, dates, short strings) as one view."""
