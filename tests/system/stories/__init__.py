"""Four ways in which one change of the shop may go on, as logs of events, with the verdicts that the weeks give."""
