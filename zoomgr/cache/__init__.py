"""The cache: what is in it (`store`), how it gets there (`fetch`), whether it is what it was (`verify`)."""
