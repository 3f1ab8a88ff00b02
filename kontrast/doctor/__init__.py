"""Examinations that find problems in data before training; one file per examination."""
