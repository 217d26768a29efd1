"""What is shown, one module an output: pure functions from data to lines."""
