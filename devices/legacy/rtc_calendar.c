/*
 * See rtc_calendar.h. No state, safe from any thread.
 */
#include "devices/legacy/rtc_calendar.h"

#include <time.h>

#include "vmm/base/util.h"

enum {
	DAY_SECONDS = 86400,
	PM = 0x80,
	ANY = 0xc0,
};

static uint8_t encode(unsigned value, uint8_t b)
{
	if (b & RTC_B_BINARY)
		return (uint8_t)value;
	return (uint8_t)((value / 10 % 10) << 4 | value % 10);
}

static unsigned decode(uint8_t byte, uint8_t b)
{
	return b & RTC_B_BINARY ? byte : (byte >> 4) * 10u + (byte & 15);
}

static uint8_t encode_hour(unsigned hour, uint8_t b)
{
	if (b & RTC_B_24H)
		return encode(hour, b);
	return (uint8_t)(encode(hour % 12 ? hour % 12 : 12, b) | (hour >= 12 ? PM : 0));
}

static unsigned decode_hour(uint8_t byte, uint8_t b)
{
	unsigned hour;

	if (b & RTC_B_24H)
		return decode(byte, b);
	hour = decode(byte & (uint8_t)~PM, b) % 12;
	return byte & PM ? hour + 12 : hour;
}

void rtc_encode(int64_t seconds, uint8_t b, uint8_t registers[RTC_TIME_REGISTERS], uint8_t *century)
{
	time_t t = MAX(MIN(seconds, RTC_SECONDS_MAX), INT64_C(0));
	unsigned year;
	struct tm tm;

	gmtime_r(&t, &tm);
	year = (unsigned)tm.tm_year + 1900;
	registers[RTC_SECONDS] = encode((unsigned)tm.tm_sec, b);
	registers[RTC_MINUTES] = encode((unsigned)tm.tm_min, b);
	registers[RTC_HOURS] = encode_hour((unsigned)tm.tm_hour, b);
	registers[RTC_DAY_OF_WEEK] = encode((unsigned)tm.tm_wday + 1, b);
	registers[RTC_DAY_OF_MONTH] = encode((unsigned)tm.tm_mday, b);
	registers[RTC_MONTH] = encode((unsigned)tm.tm_mon + 1, b);
	registers[RTC_YEAR] = encode(year % 100, b);
	*century = encode(year / 100, b);
}

int64_t rtc_decode(const uint8_t registers[RTC_TIME_REGISTERS], uint8_t century, uint8_t b)
{
	unsigned year = decode(century, b) * 100 + decode(registers[RTC_YEAR], b);
	struct tm tm = {
		.tm_sec = (int)decode(registers[RTC_SECONDS], b),
		.tm_min = (int)decode(registers[RTC_MINUTES], b),
		.tm_hour = (int)decode_hour(registers[RTC_HOURS], b),
		.tm_mday = (int)decode(registers[RTC_DAY_OF_MONTH], b),
		.tm_mon = (int)decode(registers[RTC_MONTH], b) - 1,
		.tm_year = (int)year - 1900,
	};
	int64_t seconds = timegm(&tm);

	return MAX(MIN(seconds, RTC_SECONDS_MAX), INT64_C(0));
}

static bool matches(uint8_t alarm, uint8_t value)
{
	return (alarm & ANY) == ANY || alarm == value;
}

unsigned rtc_seconds_to_alarm(
	int64_t seconds, const uint8_t registers[RTC_TIME_REGISTERS], uint8_t b)
{
	unsigned start = (unsigned)(seconds % DAY_SECONDS), at = start + 1;

	/* Steps over whole hours and minutes, so that this takes some 150 turns at most. */
	while (at - start <= DAY_SECONDS) {
		unsigned of_day = at % DAY_SECONDS;

		if (!matches(registers[RTC_HOURS_ALARM], encode_hour(of_day / 3600, b)))
			at += 3600 - at % 3600;
		else if (!matches(registers[RTC_MINUTES_ALARM], encode(of_day / 60 % 60, b)))
			at += 60 - at % 60;
		else if (!matches(registers[RTC_SECONDS_ALARM], encode(of_day % 60, b)))
			at++;
		else
			return at - start;
	}
	return 0;
}
