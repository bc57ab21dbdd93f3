"""The simulated company: its pipelines, how long deals stay in each stage, and what goes wrong when.

Deals have invented company names; no person occurs.
"""

from __future__ import annotations

from dataclasses import dataclass

CURRENCY = "EUR"


@dataclass(frozen=True)
class StageModel:
    """A stage: the median stay in days, the spread of stays (sigma of a lognormal), the shares lost and sent back."""

    id: str
    median_days: float
    spread: float = 0.6
    lost_share: float = 0.15
    back_share: float = 0.03


@dataclass(frozen=True)
class PipelineModel:
    """A pipeline: deals created per working day, the stages in order, the closing stages, the median amount."""

    id: str
    deals_per_day: float
    stages: tuple[StageModel, ...]
    won: str
    lost: str
    median_amount: float


@dataclass(frozen=True)
class Disruption:
    """Something that goes wrong: more or fewer new deals, or longer stays in one stage.

    `start` and `end` are days before the end of the history; an `end` of 0 means that it goes on.
    """

    pipeline: str
    start: float
    end: float
    arrival_factor: float = 1.0
    stage: str = ""
    stay_factor: float = 1.0


NEW = PipelineModel(
    "new",
    5.0,
    (
        StageModel("lead", 2.5, lost_share=0.25),
        StageModel("qualified", 4.0, lost_share=0.2),
        StageModel("demo", 5.0),
        StageModel("proposal", 6.0, spread=0.5, lost_share=0.2, back_share=0.05),
        StageModel("negotiation", 4.0, lost_share=0.1, back_share=0.06),
    ),
    "new_won",
    "new_lost",
    9_000,
)
ENTERPRISE = PipelineModel(
    "enterprise",
    1.4,
    (
        StageModel("discovery", 5.0, lost_share=0.2),
        StageModel("scoping", 7.0, lost_share=0.2),
        StageModel("pilot", 14.0, spread=0.4),
        StageModel("legal", 6.0, spread=0.4, lost_share=0.08),
    ),
    "enterprise_won",
    "enterprise_lost",
    85_000,
)
PIPELINES = (NEW, ENTERPRISE)
DISRUPTIONS = (
    # A campaign brought in more leads than the team could handle.
    Disruption("new", 76, 64, arrival_factor=4.0),
    # Discounts now need an approval, so proposals wait.
    Disruption("new", 42, 0, stage="proposal", stay_factor=3.8),
    # The legal department lost half of its staff.
    Disruption("enterprise", 60, 0, stage="legal", stay_factor=4.0),
    # Prospecting stopped once before, and has stopped again.
    Disruption("enterprise", 130, 112, arrival_factor=0.05),
    Disruption("enterprise", 22, 0, arrival_factor=0.08),
)
FIRST_WORDS = [
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
SECOND_WORDS = [
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
PURPOSES = ("renewal", "rollout", "pilot", "expansion", "migration", "starter", "upgrade", "framework")
