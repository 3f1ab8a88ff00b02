"""Where rows come from: one kind of file, folder, database or Python object per file."""
