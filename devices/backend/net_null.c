/*
 * A network back end that is none: what is sent vanishes and nothing comes. It says that it can do
 * everything, and touches nothing of the host: for machines on paper.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/backend/net_impl.h"

static int null_send(struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
	(void)net, (void)queue, (void)iov, (void)count;
	return 0;
}

static ssize_t null_receive(
	struct net *net, unsigned queue, const struct iovec *iov, unsigned count)
{
	(void)net, (void)queue, (void)iov, (void)count;
	return -EAGAIN;
}

static void null_get_stats(struct net *net, struct net_stats *stats)
{
	(void)net;
	*stats = (struct net_stats){0};
}

static void null_close(struct net *net)
{
	free(net);
}

static int null_set_queues(struct net *net, unsigned pairs)
{
	(void)net, (void)pairs;
	return 0;
}

static const struct net_ops null_ops = {
	.send = null_send,
	.receive = null_receive,
	.get_stats = null_get_stats,
	.set_queues = null_set_queues,
	.close = null_close,
};

int net_null_open(
	struct net **net, const struct net_config *config, struct loop *loop, struct err *err)
{
	struct net *made = calloc(1, sizeof(*made));

	if (!made)
		return err_set(err, EXIT_CODE_INTERNAL, ENOMEM, "no memory for a network");
	made->ops = &null_ops;
	made->loop = loop;
	made->info = (struct net_info){.name = "null",
		.queues = MAX(config->queues, 1u),
		.mtu = config->mtu ? config->mtu : NET_MTU_DEFAULT,
		.offloads = UINT64_MAX};
	*net = made;
	return 0;
}
