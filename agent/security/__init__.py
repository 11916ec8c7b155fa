"""What keeps the talk with the network trustworthy: keys, certificates, security events and their log."""
