"""The commands of `tiletick`, one file each: `arguments(parser)` declares options, `execute(options)` runs it."""
