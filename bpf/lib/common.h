/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* What every program includes: helpers, byte order, 16-byte addresses. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../layout/map_defs.h"

#define barrier() asm volatile("" ::: "memory")
#define READ_ONCE64(x) (*(const volatile __u64 *)&(x))

/* An address in registers: two aligned words in memory order. */
struct address {
	__u64 high;
	__u64 low;
};

static __always_inline void address_from_v4(struct address *address, __be32 v4)
{
	address->high = 0;
	/* ::ffff:a.b.c.d in memory order on a little-endian machine */
	address->low = ((__u64)v4 << 32) | 0xffff0000;
}

static __always_inline bool address_is_v4(const struct address *address)
{
	return !address->high && (__u32)address->low == 0xffff0000;
}

static __always_inline bool address_is_unspecified(const struct address *address)
{
	return !address->high && !address->low;
}

/* Of IPv6: a group. */
static __always_inline bool address_is_multicast(const struct address *address)
{
	return (address->high & 0xff) == 0xff;
}

/* Of IPv6: fe80::/10, in memory order on a little-endian machine. */
static __always_inline bool address_is_link_local(const struct address *address)
{
	return (address->high & 0xc0ff) == 0x80fe;
}

/*
 * Nobody in particular: multicast, broadcast, 0.0.0.0, ::, and what is somebody on each link only, fe80::/10.
 * Policy and conntrack do not know such a peer.
 */
static __always_inline bool address_is_nobody(const struct address *address)
{
	if (address_is_v4(address)) {
		__u32 v4 = bpf_ntohl((__be32)(address->low >> 32));

		return v4 >= 0xf0000000 || (v4 >> 28) == 0xe || !v4;
	}
	return address_is_multicast(address) || address_is_unspecified(address) || address_is_link_local(address);
}

static __always_inline bool address_equal(const struct address *a, const struct address *b)
{
	return a->high == b->high && a->low == b->low;
}
