"""What an attacker tries, one file for each kind; each test says what was possible and what must hold."""
