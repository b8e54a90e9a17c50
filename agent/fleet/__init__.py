"""The collector: sends tasks to other hosts and mirrors what those hosts have, whatever the network does."""
