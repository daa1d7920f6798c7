"""The subcommands; `tap_exports.subcommands` names them."""
