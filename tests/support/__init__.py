"""Helpers of the tests: readers and references that share no code with what they test."""
