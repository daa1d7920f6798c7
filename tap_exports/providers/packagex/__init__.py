"""PackageX: exports of an organization's resources, with their errors and what was held out."""
