/*
 * Calls what the student wrote as the test asks by a word of the command line. Not the student's.
 * The test looks at the screen itself.
 */
#include "game.h"
#include "interrupts.h"

static int fail(const char *why)
{
	print(why);
	print("\n");
	return 1;
}

/* The test takes its picture, and ends the machine. */
static int show(void)
{
	print("drawn\n");
	cli();
	hlt();
	return 0;
}

static enum key wait_for_key(void)
{
	enum key key;

	cli();
	while ((key = keyboard_read()) == KEY_NONE) {
		sti_hlt();
		cli();
	}
	sti();
	return key;
}

static void start_keyboard(void)
{
	interrupts_init();
	pic_init();
	keyboard_start();
}

/* ---- What each word asks for ---- */

static int show_size(void)
{
	print_number((unsigned)screen_width());
	print("x");
	print_number((unsigned)screen_height());
	print("\n");
	return 0;
}

static int fill(void)
{
	screen_fill(0, 0, screen_width(), screen_height(), 0x204060);
	screen_fill(40, 30, 100, 50, 0xff0000);
	screen_fill(120, 60, 60, 60, 0x00ff80);
	screen_fill(screen_width() - 1, screen_height() - 1, 1, 1, 0xffffff);
	return show();
}

/* Across each edge, and quite outside. */
static int clip(void)
{
	int width = screen_width(), height = screen_height();

	screen_fill(-20, 20, 30, 10, 0xff0000);
	screen_fill(width - 10, 40, 30, 10, 0x00ff00);
	screen_fill(50, -20, 10, 30, 0x0000ff);
	screen_fill(70, height - 10, 10, 30, 0xffff00);
	screen_fill(-50, 60, 20, 20, 0xffffff);
	screen_fill(width + 30, 60, 20, 20, 0xffffff);
	screen_fill(20, height + 5, 20, 20, 0xffffff);
	screen_fill(20, 100, -5, 20, 0xffffff);
	return show();
}

static int draw(void)
{
	screen_fill(0, 0, 64, 64, 0x008000);
	screen_draw_sprite(8, 8);
	screen_draw_sprite(100, 50);
	screen_draw_sprite(screen_width() - 8, 100);
	return show();
}

static int show_keys(void)
{
	static const char *const names[] = {
		"none", "up", "down", "left", "right", "escape", "other"};
	enum key key;

	start_keyboard();
	print("press\n");
	do {
		key = wait_for_key();
		print(names[key]);
		print("\n");
	} while (key != KEY_ESCAPE);
	return 0;
}

static int play(void)
{
	start_keyboard();
	game_start();
	print("play\n");
	while (game_key(wait_for_key()))
		;
	return 0;
}

int kmain(const char *words, const uint8_t *boot_params)
{
	if (!screen_init(boot_params))
		return fail("no screen");
	if (has_word(words, "size"))
		return show_size();
	if (has_word(words, "fill"))
		return fill();
	if (has_word(words, "clip"))
		return clip();
	if (has_word(words, "sprite"))
		return draw();
	if (has_word(words, "keys"))
		return show_keys();
	return play();
}
