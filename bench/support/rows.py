"""What a table is made of: rows of two figures, their ratio, and the goal the ratio has."""

import statistics


class Row:
    """`ours` and `theirs` are the figures of each round, side by side; the ratio is the median of the
    rounds' ratios, so that what slows a whole round does not move it. Without `theirs` the goal is
    about the figure itself."""

    def __init__(self, table, name, unit, ours=(), theirs=(), at_least=None, at_most=None,
                 labels=("leat", "redis-server"), absent=None):
        self.table, self.name, self.unit, self.labels, self.absent = table, name, unit, labels, absent
        self.ours, self.theirs = list(ours), list(theirs)
        self.at_least, self.at_most = at_least, at_most

    @property
    def ratio(self):
        if not self.ours or not self.theirs:
            return None
        return statistics.median(a / b if b else float("inf") for a, b in zip(self.ours, self.theirs))

    @property
    def judged(self):
        """What the goal is compared with."""
        if self.theirs:
            return self.ratio
        return statistics.median(self.ours) if self.ours else None

    @property
    def met(self):
        """None when there is no goal or no figure."""
        value = self.judged
        if value is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or value >= self.at_least) and \
            (self.at_most is None or value <= self.at_most)

    def goal_text(self):
        goal = self.at_least if self.at_least is not None else self.at_most
        if goal is None:
            return ""
        text = "%.2f" % goal if self.theirs or not self.ours else figure(goal, self.unit)
        if self.at_least is not None:
            return "at least %s%s" % (text, "" if self.met is not False else "  BELOW")
        return "at most %s%s" % (text, "" if self.met is not False else "  ABOVE")

    def as_json(self):
        return {"table": self.table, "row": self.name, "unit": self.unit, "labels": list(self.labels),
                "ours": self.ours, "theirs": self.theirs, "ratio": self.ratio, "at_least": self.at_least,
                "at_most": self.at_most, "met": self.met, "absent": self.absent}


def figure(value, unit):
    """A figure as people read it."""
    if unit == "us":
        return "%.0f us" % value if value < 1000 else "%.2f ms" % (value / 1000) if value < 1e6 \
            else "%.2f s" % (value / 1e6)
    if unit == "bytes":
        return "%.0f B" % value if abs(value) < 1e4 else "%.1f MB" % (value / 1e6)
    if unit == "s":
        return "%.3f s" % value
    return "{:,.0f}{}".format(value, unit)


def ratio_text(ratio):
    """Finer where it is small: 0.104 is not 0.10."""
    return "%.2f" % ratio if ratio >= 0.2 else "%.3f" % ratio


def head(labels):
    return "  %-46s %14s %14s %8s  goal of the ratio" % ("", labels[0], labels[1] if len(labels) > 1 else "",
                                                        "ratio")


def line(row):
    if row.absent:
        return "  %-46s not there yet: %s" % (row.name, row.absent)
    ours = figure(statistics.median(row.ours), row.unit)
    theirs = figure(statistics.median(row.theirs), row.unit) if row.theirs else ""
    ratio = ratio_text(row.ratio) if row.ratio is not None else ""
    return ("  %-46s %14s %14s %8s  %s" % (row.name, ours, theirs, ratio, row.goal_text())).rstrip()


def summary(rows, errors):
    met = [row for row in rows if row.met]
    short = [row for row in rows if row.met is False]
    absent = [row for row in rows if row.absent]
    text = ["%d goals met, %d not, %d not there yet, %d errors" % (len(met), len(short), len(absent), len(errors))]
    for row in short:
        value = ratio_text(row.ratio) if row.theirs else figure(row.judged, row.unit)
        text.append("  not met: %s, %s: %s, %s" % (row.table, row.name, value, row.goal_text().split("  ")[0]))
    for table, error in errors:
        text.append("  error: %s: %s" % (table, error))
    return "\n".join(text)
