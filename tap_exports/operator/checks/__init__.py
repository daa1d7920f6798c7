"""The checks of `doctor`: each tells what it found and, where something is wrong, the remedy."""
