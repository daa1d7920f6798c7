"""The fields of Mandrill's resources. Docs: https://mailchimp.com/developer/transactional/api/exports/."""

from __future__ import annotations

from tap_exports.singer import typing as th

# https://mailchimp.com/developer/transactional/api/exports/list-exports/; without `result_url`, which is a secret.
EXPORT = th.PropertiesList(
    th.Property("id", th.StringType, required=True, nullable=False, description="Identifier of the job"),
    th.Property("type", th.StringType, description="activity, reject or allowlist"),
    th.Property("state", th.StringType, description="waiting, working, complete, error or expired"),
    th.Property("created_at", th.StringType, description="When it was created, UTC"),
    th.Property("finished_at", th.StringType, description="When it ended, UTC"),
)
