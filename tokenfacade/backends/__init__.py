"""One file per vocabulary format; each imports the one third-party package that it is named after."""
