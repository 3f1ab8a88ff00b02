"""From rows to report: trial, training, validation, evaluation."""
