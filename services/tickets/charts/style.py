"""Colours and settings of all charts. Okabe-Ito colours; colour alone carries no meaning.

Settings are made once: a context of settings would leak into other threads that draw at the same time.
"""

from __future__ import annotations

import matplotlib

# `$` in a stage's name is a dollar, not a formula.
matplotlib.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "andon", "font.family": "sans-serif", "text.parse_math": False}
)
BLUE, ORANGE, VERMILION, GREY, INK = "#0072b2", "#e69f00", "#d55e00", "#767676", "#333333"
