"""Load tests: a locustfile for people, and `make load`, which measures the product beside two stand-ins."""
