"""Theory pages, one Markdown file per scenario, shown beside its results."""
