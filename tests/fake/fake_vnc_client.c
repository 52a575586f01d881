/*
 * See fake_vnc_client.h.
 */
#include "tests/fake/fake_vnc_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/backend/display_vnc_lib.h"
#include "devices/backend/unix_listen.h"
#include "vmm/base/util.h"

int fake_vnc_connect(struct fake_vnc_client *client, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*client = (struct fake_vnc_client){.fd = -1, .lamps = -1, .size_status = -1};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	client->fd = unix_listen_connect(&address);
	return client->fd < 0 ? client->fd : 0;
}

int fake_vnc_send(struct fake_vnc_client *client, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len) {
		struct pollfd pfd = {.fd = client->fd, .events = POLLOUT};
		ssize_t n = send(client->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			if (poll(&pfd, 1, FAKE_VNC_WAIT_MS) <= 0)
				return -ETIMEDOUT;
			continue;
		}
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

int fake_vnc_read(struct fake_vnc_client *client, void *data, size_t len)
{
	uint8_t *at = data;

	while (len) {
		struct pollfd pfd = {.fd = client->fd, .events = POLLIN};
		ssize_t n;

		if (poll(&pfd, 1, FAKE_VNC_WAIT_MS) <= 0)
			return -ETIMEDOUT;
		n = recv(client->fd, at, len, MSG_DONTWAIT);
		if (n <= 0)
			return -ECONNRESET;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_u16(struct fake_vnc_client *client, uint16_t *value)
{
	int ret = fake_vnc_read(client, value, sizeof(*value));

	*value = ntohs(*value);
	return ret;
}

static int read_u32(struct fake_vnc_client *client, uint32_t *value)
{
	int ret = fake_vnc_read(client, value, sizeof(*value));

	*value = ntohl(*value);
	return ret;
}

static int resize(struct fake_vnc_client *client, unsigned width, unsigned height)
{
	free(client->pixels);
	client->width = width;
	client->height = height;
	client->pixels = calloc((size_t)width * height + 1, sizeof(uint32_t));
	return client->pixels ? 0 : -ENOMEM;
}

/* ---- Greeting ---- */

static int answer_challenge(struct fake_vnc_client *client, const char *password)
{
	uint8_t challenge[16];
	char text[16] = "";
	uint32_t result;
	int ret = fake_vnc_read(client, challenge, sizeof(challenge));

	if (ret < 0)
		return ret;
	snprintf(text, sizeof(text), "%.8s", password);
	vnc_lib_load()->encrypt(challenge, text);
	ret = fake_vnc_send(client, challenge, sizeof(challenge));
	if (ret >= 0)
		ret = read_u32(client, &result);
	return ret < 0 ? ret : result ? -EACCES : 0;
}

static int authenticate(struct fake_vnc_client *client, const char *password)
{
	uint8_t count, types[255], choice = password ? 2 : 1;
	uint32_t result;
	int ret = fake_vnc_read(client, &count, 1);

	if (ret >= 0)
		ret = fake_vnc_read(client, types, count);
	if (ret < 0)
		return ret;
	if (!memchr(types, choice, count))
		return -EPROTO;
	ret = fake_vnc_send(client, &choice, 1);
	if (ret < 0)
		return ret;
	if (password)
		return answer_challenge(client, password);
	ret = read_u32(client, &result);
	return ret < 0 ? ret : result ? -EACCES : 0;
}

int fake_vnc_greet(struct fake_vnc_client *client, const char *password)
{
	/* 32 bits, depth 24, true colour; red at 16, green at 8, blue at 0. */
	static const uint8_t format[20] = {
		0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0};
	static const int32_t encodings[] = {FAKE_VNC_RAW};
	uint8_t version[12], pixel_format[16], shared = 1;
	uint16_t width, height;
	uint32_t len;
	int ret = fake_vnc_read(client, version, sizeof(version));

	if (ret >= 0 && memcmp(version, "RFB 003.008\n", sizeof(version)) != 0)
		return -EPROTO;
	if (ret >= 0)
		ret = fake_vnc_send(client, version, sizeof(version));
	if (ret >= 0)
		ret = authenticate(client, password);
	if (ret >= 0)
		ret = fake_vnc_send(client, &shared, 1);
	if (ret >= 0)
		ret = read_u16(client, &width);
	if (ret >= 0)
		ret = read_u16(client, &height);
	if (ret >= 0)
		ret = fake_vnc_read(client, pixel_format, sizeof(pixel_format));
	if (ret >= 0)
		ret = read_u32(client, &len);
	if (ret >= 0)
		ret = len < sizeof(client->name) ? fake_vnc_read(client, client->name, len)
						 : -EPROTO;
	if (ret >= 0)
		ret = resize(client, width, height);
	if (ret >= 0)
		ret = fake_vnc_send(client, format, sizeof(format));
	return ret < 0 ? ret : fake_vnc_set_encodings(client, encodings, ARRAY_SIZE(encodings));
}

int fake_vnc_set_encodings(struct fake_vnc_client *client, const int32_t *encodings, unsigned count)
{
	uint8_t message[4 + 4 * 16] = {2, 0, 0, (uint8_t)count};

	ASSERT(count <= 16);
	for (unsigned i = 0; i < count; i++) {
		uint32_t encoding = htonl((uint32_t)encodings[i]);

		memcpy(message + 4 + i * sizeof(encoding), &encoding, sizeof(encoding));
	}
	return fake_vnc_send(client, message, 4 + count * sizeof(uint32_t));
}

int fake_vnc_open(struct fake_vnc_client *client, const char *path)
{
	int ret = fake_vnc_connect(client, path);

	return ret < 0 ? ret : fake_vnc_greet(client, NULL);
}

/* ---- Updates ---- */

int fake_vnc_ask(struct fake_vnc_client *client, bool incremental)
{
	const uint8_t message[10] = {3, incremental, 0, 0, 0, 0, (uint8_t)(client->width >> 8),
		(uint8_t)client->width, (uint8_t)(client->height >> 8), (uint8_t)client->height};

	return fake_vnc_send(client, message, sizeof(message));
}

static int take_raw(struct fake_vnc_client *client, const struct display_rect *rect)
{
	if (rect->x + rect->width > client->width || rect->y + rect->height > client->height)
		return -EPROTO;
	for (uint32_t y = 0; y < rect->height; y++) {
		int ret = fake_vnc_read(client,
			client->pixels + (size_t)(rect->y + y) * client->width + rect->x,
			(size_t)rect->width * sizeof(uint32_t));

		if (ret < 0)
			return ret;
	}
	if (client->rect_count < FAKE_VNC_RECTS_MAX)
		client->rects[client->rect_count++] = *rect;
	return 0;
}

static int take_cursor(struct fake_vnc_client *client, const struct display_rect *rect)
{
	int ret;

	if (rect->width > DISPLAY_CURSOR_SIDE || rect->height > DISPLAY_CURSOR_SIDE)
		return -EPROTO;
	client->cursors++;
	client->cursor_x = rect->x;
	client->cursor_y = rect->y;
	client->cursor_width = rect->width;
	client->cursor_height = rect->height;
	ret = fake_vnc_read(client, client->cursor_pixels,
		(size_t)rect->width * rect->height * sizeof(uint32_t));
	if (ret < 0)
		return ret;
	return fake_vnc_read(
		client, client->cursor_mask, (size_t)(rect->width + 7) / 8 * rect->height);
}

static int take_extended_size(struct fake_vnc_client *client, const struct display_rect *rect)
{
	uint8_t head[4], screen[16];
	int ret = fake_vnc_read(client, head, sizeof(head));

	for (unsigned i = 0; ret >= 0 && i < head[0]; i++)
		ret = fake_vnc_read(client, screen, sizeof(screen));
	if (ret < 0)
		return ret;
	client->size_status = (int)rect->y;
	return rect->y ? 0 : resize(client, rect->width, rect->height);
}

static int take_rect(struct fake_vnc_client *client, const struct display_rect *rect, int encoding)
{
	uint8_t lamps;
	int ret = 0;

	switch (encoding) {
	case FAKE_VNC_RAW:
		return take_raw(client, rect);
	case FAKE_VNC_CURSOR:
		return take_cursor(client, rect);
	case FAKE_VNC_NEW_SIZE:
		return resize(client, rect->width, rect->height);
	case FAKE_VNC_EXTENDED_SIZE:
		return take_extended_size(client, rect);
	case FAKE_VNC_KEY_PLACES:
		client->has_key_places = true;
		return 0;
	case FAKE_VNC_LAMPS:
		ret = fake_vnc_read(client, &lamps, 1);
		client->lamps = lamps;
		return ret;
	default:
		return -EPROTO;
	}
}

int fake_vnc_take_update(struct fake_vnc_client *client)
{
	uint8_t head[2];
	uint16_t count, part[4];
	int ret = fake_vnc_read(client, head, sizeof(head));

	client->rect_count = 0;
	if (ret >= 0 && head[0] != 0)
		return -EPROTO;
	if (ret >= 0)
		ret = read_u16(client, &count);
	for (unsigned i = 0; ret >= 0 && i < count; i++) {
		struct display_rect rect;
		uint32_t encoding = 0;

		for (unsigned j = 0; j < 4 && ret >= 0; j++)
			ret = read_u16(client, &part[j]);
		if (ret >= 0)
			ret = read_u32(client, &encoding);
		if (ret < 0)
			return ret;
		rect = (struct display_rect){part[0], part[1], part[2], part[3]};
		ret = take_rect(client, &rect, (int)encoding);
	}
	return ret;
}

/* ---- Keys and pointer ---- */

int fake_vnc_key(struct fake_vnc_client *client, uint32_t symbol, bool down)
{
	uint8_t message[8] = {4, down};

	symbol = htonl(symbol);
	memcpy(message + 4, &symbol, sizeof(symbol));
	return fake_vnc_send(client, message, sizeof(message));
}

int fake_vnc_key_place(struct fake_vnc_client *client, uint32_t scancode, bool down)
{
	uint8_t message[12] = {255, 0, 0, down};

	scancode = htonl(scancode);
	memcpy(message + 8, &scancode, sizeof(scancode));
	return fake_vnc_send(client, message, sizeof(message));
}

int fake_vnc_point(struct fake_vnc_client *client, unsigned buttons, unsigned x, unsigned y)
{
	const uint8_t message[6] = {
		5, (uint8_t)buttons, (uint8_t)(x >> 8), (uint8_t)x, (uint8_t)(y >> 8), (uint8_t)y};

	return fake_vnc_send(client, message, sizeof(message));
}

int fake_vnc_set_size(struct fake_vnc_client *client, unsigned width, unsigned height)
{
	uint8_t message[8 + 16] = {251, 0, (uint8_t)(width >> 8), (uint8_t)width,
		(uint8_t)(height >> 8), (uint8_t)height, 1};

	memcpy(message + 8 + 8, message + 2, 4);
	return fake_vnc_send(client, message, sizeof(message));
}

/* ---- The end ---- */

bool fake_vnc_is_cut(struct fake_vnc_client *client)
{
	struct pollfd pfd = {.fd = client->fd, .events = POLLIN};
	char rest[65536];

	while (poll(&pfd, 1, FAKE_VNC_WAIT_MS) > 0)
		if (recv(client->fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0)
			return true;
	return false;
}

void fake_vnc_close(struct fake_vnc_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	free(client->pixels);
	client->pixels = NULL;
}
