/*
 * --net and -p: words become cards and forwarded ports, or one sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <stdio.h>

#include "tests/fake/fake_words.h"

static void test_the_default_is_one_user_network(void **state)
{
	struct fake_words line;

	(void)state;
	fake_words_parse_good_machine(&line, "");
	assert_int_equal(line.config.nic_count, 1);
	assert_int_equal(line.config.nics[0].kind, NET_USER);
	assert_int_equal(line.config.nics[0].queues, 1);
	assert_true(line.config.net_is_default);
	assert_int_equal(line.config.forward_count, 0);
	config_finish(&line.config);
	fake_words_parse_good_machine(&line, "--net none");
	assert_int_equal(line.config.nic_count, 0);
	assert_false(line.config.net_is_default);
	config_finish(&line.config);
}

static void test_cards_of_every_kind(void **state)
{
	struct fake_words line;

	(void)state;
	fake_words_parse_good_machine(&line,
		"--net user,restrict,mtu=9000 --net tap=tap7,queues=4,offload=off,vhost=off "
		"--net fd=5,mac=02:aB:00:00:00:01 --net socket=/run/a,,b --net type=user");
	assert_int_equal(line.config.nic_count, 5);
	assert_false(line.config.net_is_default);
	assert_int_equal(line.config.nics[0].kind, NET_USER);
	assert_true(line.config.nics[0].restricted);
	assert_int_equal(line.config.nics[0].mtu, 9000);
	assert_int_equal(line.config.nics[1].kind, NET_TAP);
	assert_string_equal(line.config.nics[1].tap, "tap7");
	assert_int_equal(line.config.nics[1].queues, 4);
	assert_false(line.config.nics[1].offload || line.config.nics[1].vhost);
	assert_int_equal(line.config.nics[2].kind, NET_TAP);
	assert_int_equal(line.config.nics[2].fd, 5);
	assert_true(line.config.nics[2].offload && line.config.nics[2].vhost);
	assert_memory_equal(line.config.nics[2].mac, ((uint8_t[]){2, 0xab, 0, 0, 0, 1}), 6);
	assert_int_equal(line.config.nics[3].kind, NET_SOCKET);
	assert_string_equal(line.config.nics[3].socket, "/run/a,b");
	assert_int_equal(line.config.nics[4].kind, NET_USER);
	config_finish(&line.config);
}

static void test_forwarded_ports(void **state)
{
	static const struct {
		const char *text, *address;
		unsigned host_port, guest_port;
		bool udp;
	} cases[] = {
		{"2222:22", "", 2222, 22, false},
		{"65535:1/tcp", "", 65535, 1, false},
		{"53:53/udp", "", 53, 53, true},
		{"0.0.0.0:80:8080", "0.0.0.0", 80, 8080, false},
		{"192.168.1.17:80:8080/udp", "192.168.1.17", 80, 8080, true},
		{"[::1]:2222:22", "::1", 2222, 22, false},
		{"[::]:2222:22/udp", "::", 2222, 22, true},
		{"[2001:db8:1111:2222:3333:4444:5555:6666]:1:2",
			"2001:db8:1111:2222:3333:4444:5555:6666", 1, 2, false},
	};
	char text[2048] = "";
	struct fake_words line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s %s",
			i % 2 ? "-p" : "--publish", cases[i].text);
	fake_words_parse_good_machine(&line, text);
	assert_int_equal(line.config.forward_count, ARRAY_SIZE(cases));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct net_forward *forward = &line.config.forwards[i];

		assert_string_equal(forward->host_address, cases[i].address);
		assert_int_equal(forward->host_port, cases[i].host_port);
		assert_int_equal(forward->guest_port, cases[i].guest_port);
		assert_int_equal(forward->udp, cases[i].udp);
	}
	config_finish(&line.config);
}

static void test_not_more_than_there_is_room_for(void **state)
{
	char text[4096] = "";
	struct fake_words line;

	(void)state;
	for (unsigned i = 0; i < CONFIG_NICS_MAX; i++)
		strcat(text, " --net user");
	fake_words_parse_good_machine(&line, text);
	config_finish(&line.config);
	strcat(text, " --net user");
	assert_true(fake_words_parse_machine(&line, text) < 0);
	assert_non_null(strstr(line.err.text, "more than 8 times"));
	config_finish(&line.config);
	*text = '\0';
	for (unsigned i = 0; i < NET_FORWARDS_MAX; i++)
		sprintf(text + strlen(text), " -p %u:1", 1000 + i);
	fake_words_parse_good_machine(&line, text);
	config_finish(&line.config);
	strcat(text, " -p 1:1");
	assert_true(fake_words_parse_machine(&line, text) < 0);
	assert_non_null(strstr(line.err.text, "more than 64 times"));
	config_finish(&line.config);
}

/* The same at every start, different for every card and every name: guests keep their leases. */
static void test_macs_are_stable_and_different(void **state)
{
	uint8_t macs[64][NET_MAC_BYTES];
	char text[64];
	unsigned count = 0;
	struct fake_words line;

	(void)state;
	for (unsigned n = 0; n < 32; n++) {
		snprintf(text, sizeof(text), "--name vm%u --net user --net user", n);
		for (unsigned card = 0; card < 2; card++) {
			uint8_t again[NET_MAC_BYTES];

			fake_words_parse_good_machine(&line, text);
			config_net_mac(&line.config, card, macs[count]);
			config_net_mac(&line.config, card, again);
			config_finish(&line.config);
			assert_memory_equal(macs[count], again, sizeof(again));
			assert_int_equal(macs[count][0] & 3, 2);
			for (unsigned i = 0; i < count; i++)
				assert_memory_not_equal(macs[i], macs[count], NET_MAC_BYTES);
			count++;
		}
	}
}

static void test_bad_lines_are_sentences(void **state)
{
	static const struct {
		const char *line, *text, *hint;
	} cases[] = {
		{"--net", "--net needs a value", ""},
		{"--net=", "--net: the value is empty", ""},
		{"--net usr", "'usr' is none of user, tap=IFNAME", "--net user?"},
		{"--net tap", "'tap' is none of", "--net tap=?"},
		{"--net tap0", "'tap0' is none of", "--net tap=tap0"},
		{"--net nat", "'nat' is none of", ""},
		{"--net /run/s", "'/run/s' is none of", "--net socket=/run/s"},
		{"--net tap=", "tap: the value is empty", ""},
		{"--net tap=a,tap=b", "tap is given twice", ""},
		{"--net tap=a,socket=b", "one host side", ""},
		{"--net user,fd=3", "one host side", ""},
		{"--net none,tap=a", "one host side", ""},
		{"--net mtu=1500", "one host side", ""},
		{"--net fd=x", "'x' is not a whole number", ""},
		{"--net fd=-1", "'-1' is not a whole number", ""},
		{"--net fd=4294967295", "out of range", ""},
		{"--net user,mtu=67", "67 is out of range; it can be 68 to 65521", ""},
		{"--net user,mtu=65522", "65522 is out of range", ""},
		{"--net user,qeues=2", "no key 'qeues'", "Did you mean queues?"},
		{"--net user,queues=2", "several queues are for tap", ""},
		{"--net fd=3,queues=2", "several queues are for tap", ""},
		{"--net tap=a,queues=0", "out of range; it can be 1 to 8", ""},
		{"--net tap=a,queues=9", "9 is out of range", ""},
		{"--net tap=a,restrict", "restrict is for --net user alone", ""},
		{"--net user,offload=off", "offload is for tap and fd alone", ""},
		{"--net socket=a,vhost=off", "vhost is for tap and fd alone", ""},
		{"--net tap=a,vhost=no", "'no' is neither on nor off", ""},
		{"--net user,mac=x", "mac 'x' is no address", ""},
		{"--net user,mac=02:00:00:00:00:0", "is no address", ""},
		{"--net user,mac=02:00:00:00:00:011", "is no address", ""},
		{"--net user,mac=02:00:00:00:00:01:02", "is no address", ""},
		{"--net user,mac=02-00-00-00-00-01", "is no address", ""},
		{"--net user,mac=01:00:00:00:00:01", "it is a group's", ""},
		{"--net user,mac=00:00:00:00:00:00", "it is all zeros", ""},
		{"--net user,mac=02:00:00:00:00:01 --net user,mac=02:00:00:00:00:01",
			"two cards have the same mac", ""},
		{"--net none --net user", "none and another card exclude each other", ""},
		{"--net user --net none", "none and another card exclude each other", ""},
		{"--net user,", "nothing stands between two commas", ""},
		{"-p", "-p needs a value", ""},
		{"-p 2222", "there is no guest's port", "-p 2222:2222"},
		{"-p ssh", "there is no guest's port", ""},
		{"-p 2222:", "a port is a number from 1 to 65535", ""},
		{"-p :22", "a port is a number", ""},
		{"-p 0:22", "a port is a number", ""},
		{"-p 22:65536", "a port is a number", ""},
		{"-p 22:99999999999", "a port is a number", ""},
		{"-p -1:22", "a port is a number", ""},
		{"-p 2222:22/sctp", "stands udp or tcp", ""},
		{"-p 2222:22/", "stands udp or tcp", ""},
		{"-p localhost:2222:22", "HOSTIP is no IP address", "127.0.0.1"},
		{"-p :2222:22", "HOSTIP is no IP address", ""},
		{"-p 1.2.3:2222:22", "HOSTIP is no IP address", ""},
		{"-p ::1:2222:22", "too many colons", "[::1]:2222:22"},
		{"-p [::1:2222:22", "there is no ]:", ""},
		{"-p [::1]2222:22", "there is no ]:", ""},
		{"-p [::g]:2222:22", "HOSTIP is no IP address", ""},
		{"-p [127.0.0.1]:2222:22", "HOSTIP is no IP address", ""},
		{"-p [1111111111111111111111111111111111111111111111111]:1:1", "HOSTIP is no", ""},
		{"-p 2222:22 -p 2222:23", "given twice", ""},
		{"-p 2222:22 --net none", "-p forwards to a user network", "--net user"},
		{"-p 2222:22 --net tap=a", "-p forwards to a user network", "--net user"},
	};
	struct fake_words line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (fake_words_parse_machine(&line, cases[i].line) >= 0)
			fail_msg("'%s' was taken", cases[i].line);
		assert_int_equal(line.err.kind, EXIT_CODE_USAGE);
		if (!strstr(line.err.text, cases[i].text) || !strstr(line.err.hint, cases[i].hint))
			fail_msg("'%s': %s / %s", cases[i].line, line.err.text, line.err.hint);
		assert_int_not_equal(line.err.text[strlen(line.err.text) - 1], '.');
		config_finish(&line.config);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_default_is_one_user_network),
		cmocka_unit_test(test_cards_of_every_kind),
		cmocka_unit_test(test_forwarded_ports),
		cmocka_unit_test(test_not_more_than_there_is_room_for),
		cmocka_unit_test(test_macs_are_stable_and_different),
		cmocka_unit_test(test_bad_lines_are_sentences),
	};

	return cmocka_run_group_tests_name("config_net", tests, NULL, NULL);
}
