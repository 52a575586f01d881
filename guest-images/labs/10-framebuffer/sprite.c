/* The picture. */
#include "game.h"

const char *const sprite[SPRITE_SIZE] = {
	"     yyyyyy     ",
	"   yyyyyyyyyy   ",
	"  yyyyyyyyyyyy  ",
	" yyyyyyyyyyyyyy ",
	" yyykkyyyykkyyy ",
	"yyyykkyyyykkyyyy",
	"yyyykkyyyykkyyyy",
	"yyyyyyyyyyyyyyyy",
	"yyyyyyyyyyyyyyyy",
	"yyykyyyyyyyykyyy",
	"yyykyyyyyyyykyyy",
	" yyykyyyyyykyyy ",
	" yyyykkkkkkyyyy ",
	"  yyyyyyyyyyyy  ",
	"   yyyyyyyyyy   ",
	"     yyyyyy     ",
};

uint32_t sprite_colour(char c)
{
	switch (c) {
	case 'y':
		return 0xffd000;
	case 'k':
		return 0x201000;
	default:
		return SPRITE_CLEAR;
	}
}
