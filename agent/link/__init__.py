"""The one small wire between the control process and the agent process: messages and transport."""
