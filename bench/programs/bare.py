"""What everything is compared with: the interpreter starts and ends."""
