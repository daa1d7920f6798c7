"""The same faults for other tools: `python -m bench.duel` writes docs/duel.md."""
