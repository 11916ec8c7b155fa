"""An OpenEVSE charge controller: it runs pilot and relay by itself and is asked over RAPI."""
