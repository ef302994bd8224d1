"""Stand-ins for cloud services that speak their real protocols, for tests without a cloud."""
