"""What goes into every packet as it is: a verifier in one file, and a text for who opens it."""
