"""What the agent measures of itself: Prometheus text, uptime by the NEVI formula. Pure; the shell is outside."""
