"""Durability, proved by campaigns: real builds killed at named and at random moments must end as if nothing had been."""
