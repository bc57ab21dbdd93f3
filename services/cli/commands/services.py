"""`andon intake`, `detector`, `analyst`, `tickets`, `notifier`, `enricher`: run one service until it is stopped."""

from __future__ import annotations


def intake() -> None:
    """Run the service that receives webhooks."""
    from services.intake.app import main

    main()


def detector() -> None:
    """Run the service that tracks deals and detects problems."""
    from services.detector.app import main

    main()


def analyst() -> None:
    """Run the service that judges weekly measures."""
    from services.analyst.app import main

    main()


def tickets() -> None:
    """Run the service that keeps tickets and serves the web pages and the API."""
    from services.tickets.app import main

    main()


def notifier() -> None:
    """Run the service that sends mail."""
    from services.notifier.app import main

    main()


def enricher() -> None:
    """Run the service that asks CRM APIs for what webhooks left out or lost."""
    from services.enricher.app import main

    main()
