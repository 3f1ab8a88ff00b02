"""Several runs beside one another: comparison, ablation, replay."""
