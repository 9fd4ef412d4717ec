"""What maintainers run now and then, and a runner for a fresh cloud machine."""
