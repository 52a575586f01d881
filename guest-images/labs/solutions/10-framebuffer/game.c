/* See game.h. */
#include "game.h"

static int x, y;

void game_start(void)
{
	x = y = 0;
	screen_fill(0, 0, screen_width(), screen_height(), GAME_COLOUR);
	screen_draw_sprite(x, y);
}

/* Where it would be outside, even in part, it stays. */
static void move(int dx, int dy)
{
	int new_x = x + dx * GAME_STEP, new_y = y + dy * GAME_STEP;

	if (new_x < 0 || new_x + SPRITE_SIZE > screen_width() || new_y < 0 ||
		new_y + SPRITE_SIZE > screen_height())
		return;
	screen_fill(x, y, SPRITE_SIZE, SPRITE_SIZE, GAME_COLOUR);
	x = new_x;
	y = new_y;
	screen_draw_sprite(x, y);
}

bool game_key(enum key key)
{
	switch (key) {
	case KEY_UP:
		move(0, -1);
		break;
	case KEY_DOWN:
		move(0, 1);
		break;
	case KEY_LEFT:
		move(-1, 0);
		break;
	case KEY_RIGHT:
		move(1, 0);
		break;
	case KEY_ESCAPE:
		return false;
	default:
		break;
	}
	return true;
}
