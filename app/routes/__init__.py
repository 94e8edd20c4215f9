"""Flask blueprints, one for each protocol; they translate and decide nothing."""
