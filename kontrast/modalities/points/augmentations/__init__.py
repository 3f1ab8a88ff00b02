"""Random changes of point clouds."""
