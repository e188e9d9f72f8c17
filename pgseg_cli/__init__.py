"""The command line: declares options, calls the core, shows results."""
