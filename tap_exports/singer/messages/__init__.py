"""From rows to messages on standard output: RECORD lines, BATCH parts, STATE."""
