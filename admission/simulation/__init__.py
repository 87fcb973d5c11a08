"""The production's desks, plans and book on virtual time: fleets in which hours pass in seconds, by a seed."""
