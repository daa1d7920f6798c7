"""Proves a declaration: the tap as processes against a sandbox made from it, through faults and crashes."""
