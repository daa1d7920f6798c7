"""The demonstration: sandbox, tap, Meltano and an embedded database, twice, with every value compared."""
