"""Medians and spreads. Knows nothing of what the numbers are."""


def median(values):
    ordered = sorted(values)
    count = len(ordered)
    if not count:
        return None
    if count % 2:
        return ordered[count // 2]
    return (ordered[count // 2 - 1] + ordered[count // 2]) / 2


def summary(values):
    """The median, the lowest, the highest, and how many; None where there is no value."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"median": median(values), "low": min(values), "high": max(values), "n": len(values)}


def summaries(rows, keys):
    """A summary of each key over the rows that have it."""
    found = {key: summary([row.get(key) for row in rows]) for key in keys}
    return {key: value for key, value in found.items() if value}
