"""The control process: IEC 61851 machine, protection rules, the loop, watchdogs."""
