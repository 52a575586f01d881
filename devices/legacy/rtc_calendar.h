/*
 * Time as the ten registers of an MC146818 hold it: BCD or binary, 12 or 24 hours. Pure
 * functions; they know nothing of ports, clocks or interrupts.
 *
 * Motorola MC146818A, "Time, calendar, and alarm locations". The century is a byte of
 * the CMOS RAM (offset 0x32 on PCs, in the format of the others).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Register numbers */
enum {
	RTC_SECONDS,
	RTC_SECONDS_ALARM,
	RTC_MINUTES,
	RTC_MINUTES_ALARM,
	RTC_HOURS,
	RTC_HOURS_ALARM,
	RTC_DAY_OF_WEEK, /* 1 = Sunday */
	RTC_DAY_OF_MONTH,
	RTC_MONTH,
	RTC_YEAR,
	RTC_TIME_REGISTERS,
};

/* The bits of register B that choose the format */
enum {
	RTC_B_24H = 0x02,
	RTC_B_BINARY = 0x04,
};

/* Seconds since 1970 that can be shown: up to the end of the year 9999. */
#define RTC_SECONDS_MAX INT64_C(253402300799)

/*
 * Fills the time registers (the alarm registers are left alone) and the century. `seconds`
 * since 1970 are cut to what can be shown.
 */
void rtc_encode(
	int64_t seconds, uint8_t b, uint8_t registers[RTC_TIME_REGISTERS], uint8_t *century);

/*
 * The reverse, for whatever a guest has written: days and months beyond their end run
 * over into the next, and the day of the week does not count.
 */
int64_t rtc_decode(const uint8_t registers[RTC_TIME_REGISTERS], uint8_t century, uint8_t b);

/*
 * Seconds from `seconds` until the alarm registers match next, 1 to 86400; 0 = never. An alarm
 * register of 0xc0 or more matches everything.
 */
unsigned rtc_seconds_to_alarm(
	int64_t seconds, const uint8_t registers[RTC_TIME_REGISTERS], uint8_t b);
