"""Tasks of contrast: views of a sample, or fields of a row, attract."""
