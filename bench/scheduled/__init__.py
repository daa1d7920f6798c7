"""A cluster that reads 100,000 files of 40 accounts, simulated with the scheduler of the tap itself."""
