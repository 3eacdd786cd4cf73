"""Stand-alone modules, used by us and copied into releases. They import nothing of ours."""
