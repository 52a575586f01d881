/*
 * The check of the header in front of a frame: what is negotiated and inside the frame passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "devices/backend/net.h"
#include "devices/virtio/net_header.h"
#include "vmm/base/util.h"

#define BIT(n)	     (UINT64_C(1) << (n))
#define ALL_FEATURES (~UINT64_C(0))

enum {
	FRAME = 1514,
	CSUM = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	TCP4 = VIRTIO_NET_HDR_GSO_TCPV4,
	TCP6 = VIRTIO_NET_HDR_GSO_TCPV6,
	UFO = VIRTIO_NET_HDR_GSO_UDP,
	USO = VIRTIO_NET_HDR_GSO_UDP_L4,
	ECN = VIRTIO_NET_HDR_GSO_ECN,
};

static const struct virtio_net_hdr_v1 plain = {.flags = 0};
static const struct virtio_net_hdr_v1 tso = {.flags = CSUM,
	.gso_type = TCP4,
	.hdr_len = 54,
	.gso_size = 1448,
	.csum_start = 34,
	.csum_offset = 16};

static bool is_good(struct virtio_net_hdr_v1 header, uint64_t frame, uint64_t features)
{
	return !net_header_check(&header, frame, features);
}

static void test_plain_frames_need_nothing(void **state)
{
	(void)state;
	assert_true(is_good(plain, 14, 0));
	assert_true(is_good(plain, NET_FRAME_BYTES_MAX, 0));
}

/* Fields without a meaning may hold anything, and the host does not see it. */
static void test_meaningless_fields_are_cleared(void **state)
{
	static const struct virtio_net_hdr_v1 zero;
	struct virtio_net_hdr_v1 header = {.flags = 0xfe,
		.hdr_len = 0xffff,
		.gso_size = 0xffff,
		.csum_start = 0xffff,
		.csum_offset = 0xffff,
		.num_buffers = 0xffff};

	(void)state;
	assert_null(net_header_check(&header, 14, ALL_FEATURES));
	assert_memory_equal(&header, &zero, sizeof(header));
}

static void test_checksum_lies_in_the_frame(void **state)
{
	struct virtio_net_hdr_v1 header = {.flags = CSUM, .csum_start = 34, .csum_offset = 16};

	(void)state;
	assert_true(is_good(header, 52, BIT(VIRTIO_NET_F_CSUM)));
	assert_false(is_good(header, 51, BIT(VIRTIO_NET_F_CSUM)));
	header.csum_start = 0xffff;
	header.csum_offset = 0xffff;
	assert_false(is_good(header, FRAME, ALL_FEATURES));
	assert_false(is_good(header, NET_FRAME_BYTES_MAX, ALL_FEATURES));
}

static void test_each_offload_is_negotiated(void **state)
{
	static const struct {
		uint8_t type;
		uint64_t feature;
	} kinds[] = {
		{TCP4, BIT(VIRTIO_NET_F_HOST_TSO4)},
		{TCP6, BIT(VIRTIO_NET_F_HOST_TSO6)},
		{UFO, BIT(VIRTIO_NET_F_HOST_UFO)},
		{USO, BIT(VIRTIO_NET_F_HOST_USO)},
		{TCP4 | ECN, BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_ECN)},
		{TCP6 | ECN, BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_HOST_ECN)},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct virtio_net_hdr_v1 header = tso;
		uint64_t needed = kinds[i].feature | BIT(VIRTIO_NET_F_CSUM);

		header.gso_type = kinds[i].type;
		assert_true(is_good(header, FRAME, needed));
		for (unsigned bit = 0; bit < 64; bit++)
			if (needed & BIT(bit))
				assert_false(is_good(header, FRAME, needed & ~BIT(bit)));
	}
}

static void test_unknown_types_are_refused(void **state)
{
	struct virtio_net_hdr_v1 header = tso;

	(void)state;
	for (unsigned type = 1; type < 256; type++) {
		bool known = type == TCP4 || type == TCP6 || type == UFO || type == USO ||
			type == (TCP4 | ECN) || type == (TCP6 | ECN);

		header.gso_type = (uint8_t)type;
		assert_int_equal(is_good(header, FRAME, ALL_FEATURES), known);
	}
}

static void test_segmentation_needs_a_checksum(void **state)
{
	struct virtio_net_hdr_v1 header = tso;

	(void)state;
	header.flags = 0;
	assert_false(is_good(header, FRAME, ALL_FEATURES));
}

static void test_headers_lie_in_the_frame(void **state)
{
	struct virtio_net_hdr_v1 header = tso;

	(void)state;
	header.hdr_len = FRAME;
	assert_true(is_good(header, FRAME, ALL_FEATURES));
	header.hdr_len = FRAME + 1;
	assert_false(is_good(header, FRAME, ALL_FEATURES));
}

static void test_segments_are_not_too_short(void **state)
{
	struct virtio_net_hdr_v1 header = tso;

	(void)state;
	for (unsigned size = 0; size < 16; size++) {
		header.gso_size = (uint16_t)size;
		header.gso_type = TCP4;
		assert_int_equal(is_good(header, NET_FRAME_BYTES_MAX, ALL_FEATURES), size >= 8);
		header.gso_type = UFO;
		assert_int_equal(is_good(header, NET_FRAME_BYTES_MAX, ALL_FEATURES), size >= 8);
	}
	/* Datagrams may be small when there are few of them. */
	header.gso_type = USO;
	header.csum_offset = 6;
	header.gso_size = 0;
	assert_false(is_good(header, 42 + 128, ALL_FEATURES));
	header.gso_size = 1;
	assert_true(is_good(header, 42 + 128, ALL_FEATURES));
	assert_false(is_good(header, 42 + 129, ALL_FEATURES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_frames_need_nothing),
		cmocka_unit_test(test_meaningless_fields_are_cleared),
		cmocka_unit_test(test_checksum_lies_in_the_frame),
		cmocka_unit_test(test_each_offload_is_negotiated),
		cmocka_unit_test(test_unknown_types_are_refused),
		cmocka_unit_test(test_segmentation_needs_a_checksum),
		cmocka_unit_test(test_headers_lie_in_the_frame),
		cmocka_unit_test(test_segments_are_not_too_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
