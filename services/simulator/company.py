"""The company that is simulated: its pipelines, how long deals stay, and what went wrong when.

Days are counted back from the end of the history. Nobody's name occurs: the deals are of invented companies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StageModel:
    """A stage: median stay in days, how widely stays vary, the share of deals lost in it and sent back from it."""

    id: str
    median_days: float
    spread: float = 0.6
    lost: float = 0.15
    back: float = 0.03


@dataclass(frozen=True)
class PipelineModel:
    """A pipeline: deals created on a working day, the stages in order, and what a deal is worth in the median."""

    id: str
    per_day: float
    stages: tuple[StageModel, ...]
    won: str
    lost: str
    worth: float


@dataclass(frozen=True)
class DealStory:
    """Something that happened from `begin` to `end` days before the end: more or fewer deals, or longer stays."""

    pipeline: str
    begin: float
    end: float
    arrivals: float = 1.0
    stage: str = ""
    stay: float = 1.0


NEW = PipelineModel(
    "new",
    5.0,
    (
        StageModel("lead", 2.5, lost=0.25),
        StageModel("qualified", 4.0, lost=0.2),
        StageModel("demo", 5.0),
        StageModel("proposal", 6.0, spread=0.5, lost=0.2, back=0.05),
        StageModel("negotiation", 4.0, lost=0.1, back=0.06),
    ),
    "new_won",
    "new_lost",
    9_000,
)
ENTERPRISE = PipelineModel(
    "enterprise",
    1.4,
    (
        StageModel("discovery", 5.0, lost=0.2),
        StageModel("scoping", 7.0, lost=0.2),
        StageModel("pilot", 14.0, spread=0.4),
        StageModel("legal", 6.0, spread=0.4, lost=0.08),
    ),
    "enterprise_won",
    "enterprise_lost",
    85_000,
)
PIPELINES = (NEW, ENTERPRISE)
STORIES = (
    # A campaign brought more than could be worked on.
    DealStory("new", 76, 64, arrivals=4.0),
    # Discounts need an approval now: proposals wait.
    DealStory("new", 42, 0, stage="proposal", stay=3.8),
    # The legal department lost half of its hands.
    DealStory("enterprise", 60, 0, stage="legal", stay=4.0),
    # A quarter of silence in prospecting was felt once already, and is again.
    DealStory("enterprise", 130, 112, arrivals=0.05),
    DealStory("enterprise", 22, 0, arrivals=0.08),
)
FIRST = [
    "Alder",
    "Amber",
    "Aspen",
    "Beacon",
    "Birch",
    "Brook",
    "Cedar",
    "Cobalt",
    "Copper",
    "Coral",
    "Delta",
    "Ember",
    "Fern",
    "Flint",
    "Granite",
    "Harbor",
    "Hazel",
    "Indigo",
    "Juniper",
    "Lagoon",
    "Larch",
    "Linden",
    "Maple",
    "Meadow",
    "Nordic",
    "Oak",
    "Onyx",
    "Orchid",
    "Pearl",
    "Pine",
    "Quartz",
    "Raven",
    "River",
    "Saffron",
    "Sierra",
    "Slate",
    "Spruce",
    "Summit",
    "Tidal",
    "Timber",
    "Umber",
    "Vale",
    "Violet",
    "Walnut",
    "Willow",
    "Zephyr",
]
SECOND = [
    "Analytics",
    "Bakeries",
    "Brewing",
    "Ceramics",
    "Clinics",
    "Energy",
    "Foods",
    "Freight",
    "Furniture",
    "Gardens",
    "Glass",
    "Hotels",
    "Instruments",
    "Insurance",
    "Labs",
    "Lighting",
    "Logistics",
    "Machines",
    "Media",
    "Mills",
    "Optics",
    "Paper",
    "Pharma",
    "Plastics",
    "Printing",
    "Rail",
    "Robotics",
    "Schools",
    "Shipping",
    "Software",
    "Solar",
    "Sports",
    "Steel",
    "Studios",
    "Textiles",
    "Tools",
    "Toys",
    "Travel",
    "Water",
    "Wines",
]
PURPOSE = ("renewal", "rollout", "pilot", "expansion", "migration", "starter", "upgrade", "framework")
