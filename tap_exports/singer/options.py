"""The settings that all providers share."""

from __future__ import annotations

from tap_exports.singer import typing as th

MOST = 1_000_000_000_000  # of counts: a typing error beyond it, not a wish
MOST_MB = 100_000_000
EXECUTOR = "threads:4"
DAY_SECONDS, YEAR_SECONDS = 86_400, 31_536_000

# What several settings take.
WORD = th.StringType(min_length=1)
SECRET = th.StringType(min_length=1, pattern=r"^(?![\s\S]*[^ -~\u00a0-\u00ff])")  # what an HTTP header can carry
NAME = th.StringType(pattern="^$|[A-Za-z0-9]")  # a name without any of these makes no stream name
KINDS = ["string", "integer", "number", "boolean", "date", "date-time", "object", "array", "any"]
DAYS = th.NumberType(exclusive_minimum=0, maximum=36_500)
COUNT = th.IntegerType(minimum=0, maximum=MOST)
PARALLEL = th.IntegerType(minimum=1, maximum=256)
OPEN_JOBS = th.IntegerType(minimum=1, maximum=10_000)
SECONDS = th.NumberType(exclusive_minimum=0, maximum=DAY_SECONDS)
MEBIBYTES = th.IntegerType(minimum=1, maximum=MOST_MB)

# Properties that entries of several providers have.
PRIMARY_KEYS = th.Property("primary_keys", th.ArrayType(WORD), description="Key; default: the place of the row")
TYPES = th.Property(
    "schema",
    th.ObjectType(additional_properties=th.StringType(allowed_values=KINDS)),
    description="Types by column: string, integer, number, boolean, date, date-time, object, array or any",
)
MODE = th.Property(
    "mode",
    th.StringType,
    allowed_values=["create", "collect"],
    default="create",
    description="`create` makes the windowed jobs, `collect` reads completed jobs that others made",
)
DELETE_AFTER_LOAD = th.Property(
    "delete_after_load",
    th.BooleanType,
    default=False,
    description="Delete a job at the provider in the run after the one that proved its window; never one that was "
    "found, such as after a lost reply",
)
ENCODING = th.Property("encoding", th.StringType, description="The same as `encoding` in `csv`, and for JSON files too")
WORDS = th.ArrayType(th.StringType)
CSV = th.Property(
    "csv",
    th.ObjectType(
        th.Property(
            "delimiter",
            th.StringType,
            description="Between fields; default: what a line `sep=` says, else what header and first rows show",
        ),
        th.Property("quote", th.StringType, description='Around fields; default: `"`; empty: there are no quotes'),
        th.Property("escape", th.StringType, description="Makes the next character text; default: quotes are doubled"),
        th.Property(
            "encoding",
            th.StringType,
            description="Text encoding, such as cp1252; default: UTF-8, or what a byte order mark says",
        ),
        th.Property("null_values", WORDS, description="Unquoted texts that are null in every column; default: none"),
        th.Property("skip_rows", COUNT, description="Lines above the header; default: 0"),
        th.Property("comment", th.StringType, description="Lines that begin with this character are no rows"),
        th.Property("footer_rows", COUNT, description="Lines at the end that are no rows"),
        th.Property("decimal", th.StringType, description="Decimal mark of numbers; default: `.`"),
        th.Property("thousands", th.StringType, description="What groups the digits of numbers; default: nothing"),
        th.Property(
            "date_formats",
            th.ObjectType(additional_properties=th.StringType),
            description="By column, the format of its dates or date-times, such as `%d.%m.%Y`",
        ),
        th.Property("true_values", WORDS, description="Words for true, without case; default: `true`"),
        th.Property("false_values", WORDS, description="Words for false, without case; default: `false`"),
        th.Property("trailing_delimiter", th.BooleanType, description="Each row ends with a delimiter"),
        th.Property(
            "nul",
            th.StringType,
            allowed_values=["keep", "strip", "reject"],
            description="NUL characters in text: `keep` (the default), `strip`, or `reject` the row",
        ),
        additional_properties=False,
    ),
    description="How CSV files are written, see docs/csv.md; what an export says goes before what the block says",
)
STATUSES = th.Property(
    "statuses",
    th.ObjectType(
        additional_properties=th.StringType(
            allowed_values=["pending", "running", "completed", "failed", "cancelled", "timed_out"]
        )
    ),
    description="Meaning of status words of jobs, such as `{EXPIRED: failed}`; compared without case, and goes before "
    "what the tap knows",
)
WINDOW_SIZE = th.Property(
    "window_size",
    th.StringType,
    allowed_values=["fixed", "auto"],
    description="`auto` cuts a window that is too large (refused, timed out, rows left out) and lets windows grow "
    "again after small ones, at most to `max_window_days`; default: fixed, auto where the provider leaves rows out",
)
LOOKBACK = th.Property(
    "lookback",
    th.NumberType(minimum=0, maximum=36_500),
    description="Days before the bookmark that are read again with new ones, for rows that appear late; with `create`",
)
LOOKBACK_ROWS = th.Property(
    "lookback_rows",
    th.IntegerType(minimum=0, maximum=100_000),
    description="Rows of which STATE keeps a digest, so that `lookback` does not send them again unchanged, for "
    "targets that only append; more than come in `lookback` and one run; default: 0, all come again",
)
GUARDS = (
    th.Property("expect_columns", th.ArrayType(WORD), description="Columns that the rows must hold"),
    th.Property("min_rows", COUNT, description="Fewest rows of a job"),
    th.Property(
        "min_rows_ratio",
        th.NumberType(minimum=0, maximum=1),
        description="Fewest rows of a job as a share of the median of the last seven, windows by their length",
    ),
    th.Property(
        "max_age_hours",
        th.NumberType(exclusive_minimum=0, maximum=876_000),
        description="Greatest age of a job when it is read",
    ),
)

SHARED = (
    th.Property("start_date", th.DateTimeType, description="Start of the first window; floor of list streams"),
    th.Property("end_date", th.DateTimeType, description="Upper bound, for backfills"),
    th.Property(
        "settling_seconds",
        th.IntegerType(minimum=0, maximum=YEAR_SECONDS),
        default=60,
        description="A window ends at now minus this; what a provider shows later than this is never read",
    ),
    th.Property(
        "poll_interval_seconds",
        SECONDS,
        default=2,
        description="First wait between two polls of a job",
    ),
    th.Property(
        "poll_interval_max_seconds",
        SECONDS,
        default=60,
        description="Ceiling of that wait, which grows with jitter; a provider's own hint wins",
    ),
    th.Property(
        "job_stall_timeout_seconds",
        th.IntegerType(minimum=1, maximum=YEAR_SECONDS),
        default=3600,
        description="A job whose status and counts do not change for so long, over runs, is stalled: its window fails",
    ),
    th.Property(
        "job_stalls_max",
        th.IntegerType(minimum=1, maximum=1000),
        default=2,
        description="A job that was stalled in so many runs is discarded, and its window is requested again",
    ),
    th.Property(
        "job_timeout_seconds",
        th.IntegerType(minimum=1, maximum=YEAR_SECONDS),
        default=86400,
        description="A job that has not ended so long after its creation is stalled, whatever it reports",
    ),
    th.Property(
        "job_grace_seconds",
        th.IntegerType(minimum=0, maximum=YEAR_SECONDS),
        default=300,
        description="A job that is missing is lost once so much has passed since it was created or last seen",
    ),
    th.Property(
        "lost_reply_search_seconds",
        th.IntegerType(minimum=0, maximum=YEAR_SECONDS),
        default=120,
        description="How long to look for a job whose creation got no reply, before another one may be created",
    ),
    th.Property(
        "job_reuse_seconds",
        th.IntegerType(minimum=0, maximum=YEAR_SECONDS),
        default=3600,
        description="Without STATE, a completed job of the same request that is no older than this is read in place of "
        "a new one, and so is one that still runs; 0: none",
    ),
    th.Property(
        "recreate_paid_jobs",
        th.BooleanType,
        default=False,
        description="Create a job again that costs money (Cornect, Cension's `start`) and is lost, stalled or unknown",
    ),
    th.Property(
        "job_wait",
        th.StringType,
        allowed_values=["wait", "detach"],
        default="wait",
        description="`detach`: submit, write the ledger to STATE, exit 0; the next run collects",
    ),
    th.Property(
        "state_mismatch",
        th.StringType,
        allowed_values=["stop", "restart", "keep"],
        default="stop",
        description="STATE that was made with another API, account or definition of a stream: `stop` that stream, "
        "`restart` it from the beginning, or `keep` its bookmark",
    ),
    th.Property("max_concurrent_jobs", OPEN_JOBS, default=4, description="Open jobs per provider"),
    th.Property("max_concurrent_requests", PARALLEL, default=4, description="Requests in flight per provider"),
    th.Property("request_timeout_seconds", SECONDS, default=60, description="Longest silence within a request"),
    th.Property("reply_timeout_seconds", SECONDS, default=900, description="Longest time for a whole API reply"),
    th.Property(
        "min_transfer_bytes_per_second",
        th.NumberType(minimum=0, maximum=MOST),
        default=100,
        description="What comes slower over `request_timeout_seconds` is broken off and asked for again; 0: never",
    ),
    th.Property(
        "verify_digests",
        th.BooleanType,
        default=True,
        description="Hold files against the digests that their servers give (`Repr-Digest`, `Content-MD5` and others)",
    ),
    th.Property(
        "unframed_files",
        th.StringType,
        allowed_values=["refuse", "accept"],
        default="refuse",
        description="A file that ends with its connection and whose end nothing proves; a cut one would look the same",
    ),
    th.Property("max_attempts", th.IntegerType(minimum=1, maximum=1000), default=6, description="Attempts per request"),
    th.Property(
        "verify_counts",
        th.StringType,
        allowed_values=["fail", "warn", "off"],
        description="Rows read against the provider's own count; default: `fail`, for Cornect `warn`",
    ),
    th.Property(
        "schema_contract",
        th.StringType,
        allowed_values=["evolve", "discard", "freeze"],
        default="evolve",
        description="A column that the catalog does not know: new SCHEMA message, into `_sdc_extra`, or stop",
    ),
    th.Property(
        "max_column_name_length",
        th.IntegerType(minimum=16, maximum=1_000_000),
        description="Bytes of the longest column name, such as 63 for PostgreSQL; longer ones are cut; default: any",
    ),
    th.Property("rejects_max_count", COUNT, default=0, description="Rows that may be rejected per file"),
    th.Property(
        "rejects_max_ratio",
        th.NumberType(minimum=0, maximum=1),
        default=0,
        description="The same as a share of the file",
    ),
    th.Property(
        "spool_dir",
        th.StringType(pattern=r"^[^\x00]*$"),
        description="Where downloads wait; default: the system's temporary folder",
    ),
    th.Property("spool_max_mb", MEBIBYTES, default=4096, description="Budget of the spool in MB, and the largest file"),
    th.Property("archive_max_mb", MEBIBYTES, default=4096, description="Largest unpacked archive or file in MB"),
    th.Property(
        "archive_max_ratio",
        th.IntegerType(minimum=1, maximum=1_000_000),
        default=200,
        description="Largest unpacked to packed ratio",
    ),
    th.Property(
        "allow_private_hosts",
        th.BooleanType,
        default=False,
        description="Allow plain http and private or loopback addresses: a sandbox or an on-premises host",
    ),
    th.Property(
        "executor",
        th.StringType,
        default=EXECUTOR,
        description="Who downloads and converts in batch mode: `threads:N`, `dask:ADDRESS` or `module:factory`, see "
        "docs/cluster.md",
    ),
    th.Property(
        "executor_size",
        th.IntegerType(minimum=1, maximum=1024),
        description="Files at once on an executor elsewhere; default: what it tells of itself as it grows, else 4",
    ),
    th.Property(
        "executor_connect_seconds",
        SECONDS,
        default=60,
        description="Longest wait for an executor elsewhere and for a worker of it, before a job is created",
    ),
    th.Property(
        "executor_task_seconds",
        SECONDS,
        default=3600,
        description="Longest time for one file on an executor elsewhere, waiting for a worker included",
    ),
    th.Property(
        "ledger",
        WORD,
        description="Where open jobs are kept beside STATE, which loaders give out late: a path, a URL of any storage, "
        "or `none`; default: a file in the user's state directory",
    ),
    th.Property(
        "progress",
        th.StringType,
        allowed_values=["auto", "always", "never"],
        default="auto",
        description="Progress on stderr; `auto` only on a terminal",
    ),
    th.Property(
        "report",
        th.StringType(min_length=1, pattern=r"^[^\x00]*$"),
        description="File for the run report as HTML; on stderr it is a table on a terminal, else a line of JSON",
    ),
    th.Property(
        "emit_activate_version_messages",
        th.BooleanType,
        default=True,
        description="Send ACTIVATE_VERSION after a complete and proven full-table read",
    ),
)
