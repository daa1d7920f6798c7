"""The job lifecycle, the ledger and the path of the rows; knows neither Singer nor any provider."""
