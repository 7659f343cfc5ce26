"""A trace as an HTML page, in one file that loads nothing and runs nothing."""

from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cli.operate.trace import Trace

PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(traced: Trace) -> str:
    """Return the page: what the text shows, with each attempt on a time line from the start to the end, or to now."""
    tries = [it for visit in traced.visits for it in visit.tries]
    moments = [it for visit in traced.visits for it in (visit.entered, visit.exited)] + [it.ended for it in tries]
    last = datetime.now(UTC) if traced.status == "RUNNING" else max(filter(None, moments), default=traced.started)

    def percent(begin: datetime, end: datetime | None) -> float:
        """How much of the time line lies between two moments; one that has not come is the last."""
        return 100 * (((end or last) - begin).total_seconds() / ((last - traced.started).total_seconds() or 1))

    return PAGES.get_template("page.html").render(trace=traced, last=last, percent=percent)
