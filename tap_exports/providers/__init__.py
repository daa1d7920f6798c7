"""One package per provider, each the same four files; none knows another."""
