"""Metric-learning losses: margins between pairs, class centres, and the order of pairs."""
