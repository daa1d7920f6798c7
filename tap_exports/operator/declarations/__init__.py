"""The check of a declaration: what it says, and which of it the replies of the live API bear out."""
