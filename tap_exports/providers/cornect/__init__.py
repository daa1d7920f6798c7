"""Cornect: companies by search, which is free, and exports of them, which take credits."""
