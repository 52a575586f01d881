/*
 * What others must know of the power register (power.c).
 */
#pragma once

#include <stdint.h>

/* Written to the register, it powers the machine off. */
#define POWER_OFF_VALUE UINT32_C(1)
