"""What Linux promises, as rows: each fact once, read by every part that needs it."""
