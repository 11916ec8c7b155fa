"""Smart charging: profiles, their calendar, stacking and combination. Pure functions, in no OCPP version's words.

Times are whole seconds since 1970 (UTC), limits ampere per phase unless a name says otherwise.
"""
