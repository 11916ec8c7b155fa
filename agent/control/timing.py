"""Every time that control keeps, in seconds, with the place it comes from.

References are to ``iec61851.md``'s sources: Table A.6 of IEC 61851-1 where a sequence is named. Those marked REC
have no public quotation; those marked own are choices of this project inside the standard's bound.
"""

from __future__ import annotations

# ---- pilot ------------------------------------------------------------------------------------------------------
PILOT_STALE_S = 0.5
"""A pilot that is only measured must be measured this often. Own; Table A.6 sequences 11 and 12 allow 3 s."""
PORT_STALE_S = 2.0
"""Any other safety reading of a device without a life sign of its own: older than this, it is no reading. Own, for
devices polled once a second; inside the 3 s of sequences 11 and 12."""
PILOT_FAULT_S = 1.0
"""How long E, F or a level outside every band may last before it is a fault. Own, inside the 3 s of sequence 12."""
PILOT_FAULT_MAX_S = 3.0
"""Table A.6 sequences 11 and 12: contactor open."""
DIODE_SETTLE_S = 0.1
"""From PWM on to the first negative peak that is judged. Own."""
VENTILATION_S = 0.5
"""How long state D must last before it is called a ventilation fault. Own; the contactor never closes in it."""
T_STEP_X1_S = 3.0
"""Pause at steady +12 V before the offer starts again (IEC 61851-1, T_STEP_X1)."""
STATE_F_S = 4.0
"""State F, when it reports a fault or wakes a vehicle (ISO 15118-3 table 3; at least 3 s is often quoted)."""
X1_AFTER_F_S = 0.75
"""Steady +12 V after E or F; vehicles need 0.5 to 1 s."""
DIODE_X1_S = 1.0
"""A diode fault shows x1 for this long, then F. Own."""
WAKE_UP_AFTER_S = 30.0
"""State B2 without C before the one wake-up (IEC 61851-1 A.5.3)."""
WAKE_UP_PATIENCE_S = 10.0
"""After the wake-up: no C by then, and the vehicle counts as asleep (A.5.3)."""
BCB_WHOLE_S = 3.7
"""Longest BCB toggle: 3.5 s + 0.2 s (ISO 15118-3)."""
BCB_STABLE_S = 0.5
"""While a toggle may be running, C counts once it has lasted this long. Own, from 200…400 ms ± 50 ms per level."""

# ---- duty cycle -------------------------------------------------------------------------------------------------
DUTY_INTERVAL_S = 5.0
"""At most one change of the duty cycle in this time (Table A.6, t_release)."""
LIMIT_MAX_S = 10.0
"""A new limit reaches the pilot within this time (Table A.6 sequence 5, REC)."""
VEHICLE_FOLLOWS_S = 5.0
"""A vehicle follows a new duty cycle within this time (Table A.6 sequence 6, REC)."""
METER_DELAY_S = 2.0
"""Allowance for the meter before an over-current is judged. Own."""

# ---- contactor --------------------------------------------------------------------------------------------------
CLOSE_MAX_S = 3.0
"""Table A.6 sequence 4."""
OPEN_MAX_S = 0.1
"""Table A.6 sequences 2 and 8: vehicle leaves C."""
STOP_MAX_S = 6.0
"""Table A.6 sequence 10.2: open under load when the vehicle ignores the end of PWM."""
STOP_S = STOP_MAX_S - 0.05
"""When we do it, so that a late tick still keeps the limit."""
WELD_CHECK_S = 1.0
"""After each opening (OpenEVSE practice)."""
FEEDBACK_S = 0.5
"""Own: a close command must show in the feedback; contactors need 150…200 ms."""
RECLOSE_S = WELD_CHECK_S + 0.1
"""The weld check comes before the next close."""
CONTROLLER_OPENS_S = 5.0
"""From a steady pilot to open contacts, as a charge controller reports them. Own: the 3 s that a vehicle is left to
stop drawing, and two polls of a second each."""
STARTUP_GRACE_S = 5.0
"""Own: devices that have not spoken by then are missing."""

# ---- residual current -------------------------------------------------------------------------------------------
RESIDUAL_BLANKING_S = 1.0
"""A trip this soon after opening is ignored (Tinkerforge: after each switching)."""
SELF_TEST_TIMEOUT_S = 10.0
"""Own: the self-tests seen take 2.5 s at most."""
SELF_TEST_INTERVAL_S = 24 * 3600.0
"""At least once a day (Easee, Tinkerforge)."""
SELF_TEST_TRIP_S = 1.5
"""A trip this soon after a self-test is the test's own. X804 modules need 1.2 s."""
RESIDUAL_RESET_S = 5.0
"""Own: pause between two resets of a tripped monitor."""
US_RETRY_S = 900.0
US_RETRIES = 4
US_EARLY_TRIP_S = 10.0
"""UL 2231 as product manuals quote it: 15 min × 4, but none when the trip came within 10 s of closing."""

# ---- current and supply -----------------------------------------------------------------------------------------
OVER_CURRENT_S = 7.0
"""EVerest: more than (offer + 0.5 A) × 1.1."""
OVER_CURRENT_FAST_S = 1.0
"""Own second tier: more than (offer + 0.5 A) × 1.3."""
OVER_CURRENT_RETRY_S = 60.0
OPEN_PEN_S = 5.0
"""BS 7671 722.411.4.1 (iv)."""
OPEN_PEN_RECOVER_S = 30.0
OPEN_PEN_RETRIES = 10
SUPPLY_S = 5.0
"""Own, in the 5 to 10 s of practice."""
SUPPLY_RECOVER_S = 30.0
MAINS_S = 0.1
"""Own: a power-fail budget of 3 s leaves no time to wonder."""
MAINS_RECOVER_S = 30.0
METER_STALE_S = 5.0
"""hardware.md §B: keep the last good value for 5 s at most."""
METER_LOST_S = 10.0
"""Own: one meter on a shared line may need several attempts."""

# ---- temperature, cable, lock, board ----------------------------------------------------------------------------
TEMPERATURE_STALE_S = 30.0
CABLE_FAULT_S = 0.3
"""Own, inside the 1 s of row 24."""
CABLE_MISSING_S = 2.0
LOCK_LOST_S = 0.5
LOCK_LOST_OPEN_S = 2.0
"""Own: together inside the 3 s of row 25."""
LOCK_DRIVE_S = 4.0
"""A motor is driven 0.6 s and never longer than this (chargebyte)."""
LOCK_ATTEMPTS = 3
BOARD_SILENCE_S = 5.0
"""Yeti: the host declares the board lost after this silence."""
BOARD_RESET_S = 5.0
"""Before C is entered again after a restart (Tinkerforge)."""
UNHEALTHY_S = 2.0
ENCLOSURE_S = 5.0
"""Own: a cover that was put right must stay so for this long."""
PHASE_SWITCH_PAUSE_S = 10.0
"""EVerest: x1 before and after a change of the phases."""
PHASE_SWITCH_INTERVAL_S = 300.0
"""Own: at least this long between two changes."""
MAX_LEASE_S = 900.0
"""Longest lease that the configuration allows."""
