"""The colours of charts and pages, on a light and on a dark ground.

Okabe and Ito's palette, which colour-blind people can tell apart, darkened or lightened until each
has a contrast of 4.5:1 with its ground. A chart is drawn in the light ones; on a dark page each
becomes its partner by style sheet (`dark_rules`).
"""

LIGHT_GROUND, DARK_GROUND = "#ffffff", "#1b2027"
SERIES = {
    "#0072b2": "#56b4e9",
    "#c24e00": "#e69f00",
    "#00855f": "#2fbf8f",
    "#a0527e": "#e29cc4",
    "#4d4d4d": "#c8ced6",
}
INK = "#2b2f36"
GRID = "#dfe2e6"
HEAT = "#0072b3"
"""Of cells, at the opacities below: figures in ink are readable on all of them."""
HEAT_OPACITIES = (0.06, 0.68)
PAIRS = SERIES | {HEAT: "#2d83bd", INK: "#dde1e6", GRID: "#3a414b", LIGHT_GROUND: DARK_GROUND}
"""Every colour of a chart, with what it is on a dark ground."""
DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4])
"""Lines differ in their dashes too: in print, and for who sees no colours."""
SHAPES = ("circle", "triangle-up", "square", "cross", "diamond")
"""So do points in their shapes."""


def dark_rules(scope: str) -> str:
    """CSS that turns the colours of charts within `scope` to those for a dark ground."""
    return "\n".join(
        f'{scope} [{part}="{light}"] {{ {part}: {dark}; }}'
        for light, dark in PAIRS.items()
        for part in ("fill", "stroke")
    )
