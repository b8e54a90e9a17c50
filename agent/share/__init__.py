"""Files that ship with the package: samples of the configuration, and in a wheel scripts/ and systemd/."""
