"""What a graph takes of a field and how that becomes what the encoder sees, one modality a file."""
