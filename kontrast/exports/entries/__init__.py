"""Inputs of exported graphs and their preprocessing; one modality per file."""
