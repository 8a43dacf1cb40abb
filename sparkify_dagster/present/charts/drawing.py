"""Drawing: a chart's rows as a small SVG, by Vega-Lite, in a process beside this one.

Text stays text, so it can be selected and read aloud. Needs no browser, no network and no fonts of
its own.
"""

import re
from base64 import b64encode
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from math import isfinite

from sparkify_dagster.engines.rows import Rows
from sparkify_dagster.present.charts import words
from sparkify_dagster.present.charts.colours import LIGHT_GROUND
from sparkify_dagster.present.charts.painter import Painter
from sparkify_dagster.present.charts.specs import spec_of
from sparkify_dagster.warehouse.refresh.chart_rows import ChartRows

_TAG = re.compile(r"<[^>]*>")
_EMPTY = re.compile(
    r'<path class="(?:background|foreground)"[^>]*/>|<path fill="none"[^>]* d="M0,0h0v0h0Z"[^>]*/>'
)
# What a still picture does not need; all texts have one font.
_NEEDLESS = re.compile(
    r" (?:class|role|aria-[a-z]+|pointer-events|font-family|stroke-miterlimit|xmlns:xlink|version)"
    r'="[^"]*"| (?:fill-|stroke-)?opacity="1"| transform="translate\(0,0\)"| font-size="12px"'
)
_LONG = re.compile(r"-?\d+\.\d{3,}")
_BARE = re.compile(r"<g>((?:(?!</?g[ >]).)*)</g>", re.DOTALL)
_ALIKE = re.compile(r'<path d="([^"]*)"([^>]*)/>(?:<path d="[^"]*"\2/>)+')
_DRAWN = re.compile(r'd="([^"]*)"')
_ROOT = re.compile(r'<svg xmlns="[^"]*" width="([\d.]+)" height="([\d.]+)" viewBox="([^"]*)">')

_PAINTER = Painter()


@dataclass(frozen=True)
class Picture:
    """A chart: its SVG in light colours (None where there is nothing to draw), and its words."""

    svg: str | None
    words: str

    @property
    def data_uri(self) -> str:
        """The SVG as an image of its own, on a light ground."""
        if self.svg is None:
            raise ValueError("an empty chart is no image")
        ground = f'<rect width="100%" height="100%" fill="{LIGHT_GROUND}"/>'
        start, end, rest = self.svg.partition(">")
        return (
            "data:image/svg+xml;base64,"
            + b64encode(f"{start}{end}{ground}{rest}".encode()).decode()
        )

    @property
    def markdown(self) -> str:
        """The image in markdown, its words as what is read where it is not seen."""
        if self.svg is None:
            return self.words
        alt = re.sub(r"([\\\[\]`*_<>&])", r"\\\1", self.words)
        return f"![{alt}]({self.data_uri})"


def warm_up() -> None:
    """Start Vega, which takes half a second, beside what this process does before it draws."""
    _PAINTER.start()


def draw(found: ChartRows) -> Picture:
    """Draw a chart; the same rows are drawn once. One that cannot be drawn says why."""
    found = _of_numbers(found)
    said = words.sentence(found)
    if not words.drawable(found):
        return Picture(None, said)
    try:
        return Picture(_drawn(found, said), said)
    except ValueError as error:  # the table is written: a picture of it is not worth a failed run
        return Picture(None, f"{said} Vega could not draw this: {words.clean(str(error))[:200]}")


def _of_numbers(found: ChartRows) -> ChartRows:
    """NaN and infinity, which a question's division may give, are as unknown as NULL."""
    rows = tuple(
        tuple(None if isinstance(v, float) and not isfinite(v) else v for v in row)
        for row in found.rows.rows
    )
    return replace(found, rows=Rows(found.rows.columns, rows))


@lru_cache(maxsize=64)
def _drawn(found: ChartRows, said: str) -> str:
    return _small(_PAINTER.paint(spec_of(found)), said)


def _small(svg: str, said: str) -> str:
    """The SVG without what nobody sees, with its words."""
    svg = _EMPTY.sub("", svg)
    svg = _TAG.sub(lambda tag: _LONG.sub(_rounded, _NEEDLESS.sub("", tag[0])), svg)
    svg = _ALIKE.sub(lambda m: f'<path d="{"".join(_DRAWN.findall(m[0]))}"{m[2]}/>', svg)
    while (fewer := _BARE.sub(r"\1", svg)) != svg:
        svg = fewer
    root = _ROOT.match(svg)
    if root is None:
        raise ValueError(f"not the SVG that Vega draws: {svg[:200]}")
    width, height, box = root.groups()
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="{box}" role="img" aria-label="{escape(said)}"'
        ' font-family="system-ui,sans-serif" font-size="12px">'
    )
    return head + svg[root.end() :]


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
