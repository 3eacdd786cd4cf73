"""What is known: typed records, graph states, settings and the exception tree. Imports only stdlib and pydantic."""
