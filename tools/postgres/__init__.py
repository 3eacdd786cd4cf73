"""A store that machines share: catalogue, journal, logs, checkpoints and artifacts in one PostgreSQL database.

psycopg comes with an extra and is imported when a connection is made, never before.
"""
