"""Changes of sounds, one per file: of waveforms, and of log-mel spectrograms."""
