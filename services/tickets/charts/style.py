"""Colours and settings of all charts. Okabe-Ito colours; colour alone carries no meaning."""

from __future__ import annotations

import matplotlib

# `$` in a stage's name is a dollar, not a formula.
matplotlib.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "andon", "font.family": "sans-serif", "text.parse_math": False}
)
# At the density of mails nobody sees whether letters are fitted to the pixels, which takes long.
matplotlib.rcParams["text.hinting"] = "none"
BLUE, ORANGE, VERMILION, GREY, INK = "#0072b2", "#e69f00", "#d55e00", "#767676", "#333333"
