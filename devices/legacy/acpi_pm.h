/*
 * ACPI fixed hardware: what the writer of the FADT and DSDT has to know of it, and the
 * power button. ACPI 6.4, 4.8.3 "Fixed Hardware Features", 4.8.4, 5.2.9 (FADT).
 *
 * For the FADT: SMI_CMD = 0 (always in ACPI mode), SCI_INT = ACPI_PM_SCI_GSI (level, active
 * high: say so in a MADT override), no GPE block, TMR_VAL_EXT clear (24 bits), FIX_RTC set
 * (the RTC has no bit in PM1), SLP_BUTTON set and PWR_BUTTON clear (the power button is
 * fixed hardware, a sleep button there is none), RESET_REG_SUP set.
 */
#pragma once

#include <stdint.h>

struct device;

#define ACPI_PM_PM1_EVT_PORT 0x600 /* status, then enable: 2 bytes each */
#define ACPI_PM_PM1_EVT_LEN  4
#define ACPI_PM_PM1_CNT_PORT 0x604
#define ACPI_PM_PM1_CNT_LEN  2
#define ACPI_PM_TIMER_PORT   0x608
#define ACPI_PM_TIMER_LEN    4
#define ACPI_PM_TIMER_BITS   24
#define ACPI_PM_TIMER_HZ     3579545
#define ACPI_PM_SCI_GSI	     9

/* SLP_TYP of S5 (soft off), for \_S5 in the DSDT. */
#define ACPI_PM_SLP_TYP_S5 5

/* The reset register (devices/legacy/reset_port.c). */
#define ACPI_PM_RESET_PORT  0xcf9
#define ACPI_PM_RESET_VALUE 0x06

/* Presses the power button of a device of class acpi_pm. Any thread; takes the device's lock. */
void acpi_pm_press_power_button(struct device *device);

/*
 * Lets it take the timer's time, in nanoseconds, from `now_ns` instead of the host's monotonic
 * clock: for tests. Before realize.
 */
void acpi_pm_set_clock(struct device *device, uint64_t (*now_ns)(void *opaque), void *opaque);
