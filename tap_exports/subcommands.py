"""Subcommands of `tap-exports` for people: what will be done, what is open, what to do again, what is wrong.

`__main__` imports this module at every start, so it imports nothing.
"""

MELTANO = "MELTANO"  # as `--config`: the file that Meltano wrote for the plugin that it invokes
SUBCOMMANDS = {
    "load": "load a DuckDB file, which keeps STATE too; no pipe, no Meltano",
    "plan": "what the next run would do; creates nothing",
    "jobs": "open jobs, and those of the account; watch or cancel one",
    "forget": "drop jobs, lost replies or a whole stream from STATE",
    "replay": "have a range that was read before read again, by a changed STATE",
    "backfill": "have a range from before the first window read, by a changed STATE",
    "doctor": "check configuration, network, key, quota, disk and storage",
    "check": "check a declaration, and hold it against the live API by free requests",
    "prove": "hold a declaration against a sandbox made from it",
    "init": "write a configuration by choosing from what the provider lists",
}
WITHOUT_CONFIG = ("init", "prove")  # one makes a configuration, the other takes a declaration
OF_JOBS = ("watch", "cancel")
