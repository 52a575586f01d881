/*
 * A VNC viewer for tests, of tests/fake/fake_vnc_client.h:
 *
 *	vnc_peer picture PATH FILE [PASSWORD]   saves what is on the screen as PPM
 *	vnc_peer type PATH TEXT                 presses keys, and Enter at the end
 *	vnc_peer watch PATH SECONDS             says how many updates came, and their pixels
 *	vnc_peer stall PATH SECONDS             asks for all, reads nothing; says if it was cut off
 *
 * PATH is a UNIX socket.
 */
#include <ctype.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake/fake_vnc_client.h"
#include "vmm/base/util.h"

enum {
	SHIFT = 0xffe1,
	ENTER = 0xff0d,
	KEY_PAUSE_US = 20000,
};

static int fail(const char *what, int ret)
{
	fprintf(stderr, "vnc_peer: %s: %s\n", what, strerror(-ret));
	return 1;
}

static int save(const struct fake_vnc_client *client, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file)
		return fail(path, -1);
	fprintf(file, "P6\n%u %u\n255\n", client->width, client->height);
	for (size_t i = 0; i < (size_t)client->width * client->height; i++) {
		uint32_t pixel = client->pixels[i];

		putc((int)(pixel >> 16 & 255), file);
		putc((int)(pixel >> 8 & 255), file);
		putc((int)(pixel & 255), file);
	}
	return fclose(file) ? fail(path, -1) : 0;
}

static int take_picture(struct fake_vnc_client *client, const char *path)
{
	int ret = fake_vnc_ask(client, false);

	if (ret >= 0)
		ret = fake_vnc_take_update(client);
	return ret < 0 ? fail("no picture", ret) : save(client, path);
}

static int press(struct fake_vnc_client *client, uint32_t symbol)
{
	bool shifted = symbol < 128 &&
		(isupper((int)symbol) || strchr("~!@#$%^&*()_+{}|:\"<>?", (int)symbol));
	int ret = 0;

	if (shifted)
		ret = fake_vnc_key(client, SHIFT, true);
	if (ret >= 0)
		ret = fake_vnc_key(client, symbol, true);
	if (ret >= 0)
		ret = fake_vnc_key(client, symbol, false);
	if (ret >= 0 && shifted)
		ret = fake_vnc_key(client, SHIFT, false);
	usleep(KEY_PAUSE_US);
	return ret;
}

static int type(struct fake_vnc_client *client, const char *text)
{
	int ret = 0;

	for (; *text && ret >= 0; text++)
		ret = press(client, (unsigned char)*text);
	if (ret >= 0)
		ret = press(client, ENTER);
	return ret < 0 ? fail("typing", ret) : 0;
}

static int watch(struct fake_vnc_client *client, double seconds)
{
	uint64_t end_ns, pixels = 0, updates = 0;
	int ret = fake_vnc_ask(client, false);

	if (ret >= 0)
		ret = fake_vnc_take_update(client);
	end_ns = util_now_ns() + (uint64_t)(seconds * 1e9);
	if (ret >= 0)
		ret = fake_vnc_ask(client, true);
	while (ret >= 0 && util_now_ns() < end_ns) {
		struct pollfd pfd = {.fd = client->fd, .events = POLLIN};

		if (poll(&pfd, 1, (int)((end_ns - util_now_ns()) / 1000000)) <= 0)
			break;
		ret = fake_vnc_take_update(client);
		for (unsigned i = 0; i < client->rect_count; i++)
			pixels += (uint64_t)client->rects[i].width * client->rects[i].height;
		updates++;
		if (ret >= 0)
			ret = fake_vnc_ask(client, true);
	}
	printf("updates %llu pixels %llu\n", (unsigned long long)updates,
		(unsigned long long)pixels);
	return ret < 0 ? fail("watching", ret) : 0;
}

static int stall(struct fake_vnc_client *client, double seconds)
{
	int ret = fake_vnc_ask(client, false);

	usleep((useconds_t)(seconds * 1e6));
	if (ret < 0)
		return fail("asking", ret);
	puts(fake_vnc_is_cut(client) ? "cut off" : "still there");
	return 0;
}

int main(int argc, char **argv)
{
	struct fake_vnc_client client;
	int ret;

	if (argc < 4)
		return 2;
	ret = fake_vnc_connect(&client, argv[2]);
	if (ret >= 0)
		ret = fake_vnc_greet(&client, argc > 4 ? argv[4] : NULL);
	if (ret < 0)
		return fail("no connection", ret);
	if (!strcmp(argv[1], "picture"))
		ret = take_picture(&client, argv[3]);
	else if (!strcmp(argv[1], "type"))
		ret = type(&client, argv[3]);
	else if (!strcmp(argv[1], "watch"))
		ret = watch(&client, atof(argv[3]));
	else if (!strcmp(argv[1], "stall"))
		ret = stall(&client, atof(argv[3]));
	else
		ret = 2;
	fake_vnc_close(&client);
	return ret;
}
