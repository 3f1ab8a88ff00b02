"""What learns beside the frozen layers of a pretrained encoder."""
