"""The exchange with a declared API: calls, replies, the list of jobs, and files."""
