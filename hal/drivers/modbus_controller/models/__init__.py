"""The models that this driver knows, one small description each."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from hal.drivers.modbus_controller.model import Model
from hal.drivers.modbus_controller.models import abl, bender, heidelberg, phoenix, simple_evse


class ModelName(Enum):
    SIMPLE_EVSE = "simple-evse"
    PHOENIX_EM_CP_PP_ETH = "phoenix-em-cp-pp-eth"
    PHOENIX_EV_CC_ETH = "phoenix-ev-cc-eth"
    PHOENIX_EV_CC_AC1_M = "phoenix-ev-cc-ac1-m"
    HEIDELBERG = "heidelberg"
    ABL_EMH1 = "abl-emh1"
    BENDER_CC612 = "bender-cc612"


_ALL = (
    simple_evse.MODEL,
    phoenix.EM_CP_PP_ETH,
    phoenix.EV_CC_ETH,
    phoenix.EV_CC_AC1_M,
    heidelberg.MODEL,
    abl.MODEL,
    bender.MODEL,
)
MODELS: Mapping[ModelName, Model] = {ModelName(model.name): model for model in _ALL}
