"""How a completed job becomes rows: files, pages and members of archives, counted and checked."""
