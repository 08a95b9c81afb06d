/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Who is behind an address. */
#pragma once

#include "echo.h"

/* Whether an entry names this very address. */
enum named_as {
	NOT_NAMED = 0,			/* a prefix, or world */
	NAMED_NODE = 1,
	NAMED_POD = 2,
};

/* One side of a flow, as policy needs it. */
struct party {
	__u32 identity;
	__u32 ifindex;			/* local pods: host side veth; the node itself: IFINDEX_HOST; else 0 */
	__u16 endpoint_id;
	__u16 variant;
	bool in_cluster;		/* a pod's: CIDR rules meet it by class */
	__u8 named;			/* enum named_as */
	__u8 mac[6];
};

/* endpoint_read - the local pod that has @address. Return: false when none has; then @party is not to be used. */
static __always_inline bool endpoint_read(const struct address *address, struct party *party)
{
	__u32 echo = echo_of(address, 16);

#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		struct endpoint *value = bpf_map_lookup_elem(&sn_endpoint_01, address);
		__u64 word;

		if (!value)
			continue;
		word = READ_ONCE64(*value);
		barrier();
		party->ifindex = value->ifindex;
		party->endpoint_id = value->endpoint_id;
		party->variant = value->variant;
		party->in_cluster = value->flags & ADDRESS_IN_CLUSTER;
		__builtin_memcpy(party->mac, value->pod_mac, 6);
		barrier();
		if (READ_ONCE64(*value) != word || !word_of(word, echo, &party->identity))
			continue;
		party->named = NAMED_POD;
		return true;
	}
	return false;
}

static __always_inline bool ipcache_read(const struct address *address, struct party *party)
{
	__u32 echo = echo_of(address, 16);

#pragma unroll
	for (int try = 0; try < ECHO_TRIES; try++) {
		struct ipcache *value = bpf_map_lookup_elem(&sn_ipcache_01, address);
		__u64 word;

		if (!value)
			continue;
		word = READ_ONCE64(*value);
		barrier();
		party->variant = value->variant;
		party->in_cluster = value->flags & ADDRESS_IN_CLUSTER;
		party->named = value->flags & ADDRESS_HOST ? NAMED_NODE : NAMED_POD;
		barrier();
		if (READ_ONCE64(*value) != word || !word_of(word, echo, &party->identity))
			continue;
		party->ifindex = party->identity == IDENTITY_HOST ? IFINDEX_HOST : 0;
		return true;
	}
	return false;
}

/*
 * party_of - who is behind @address, wherever it is: local pod, exact entry (the node itself too), longest prefix, world.
 * A trie's nodes are not recycled under a reader, so the prefix needs no echo.
 */
static __always_inline void party_of(const struct address *address, struct party *party)
{
	struct cidr_key prefix = { .prefix_length = 128 };
	struct ipcache *value;

	if (endpoint_read(address, party))
		return;
	__builtin_memset(party, 0, sizeof(*party));
	if (ipcache_read(address, party))
		return;
	__builtin_memcpy(prefix.address, address, 16);
	value = bpf_map_lookup_elem(&sn_ipprefix_01, &prefix);
	party->identity = value ? value->identity : IDENTITY_WORLD;
	party->variant = value ? value->variant : 0;
	party->in_cluster = value ? value->flags & ADDRESS_IN_CLUSTER : false;
}

/* party_find - as above, for those whose stack has no room for the look-up. A global function. */
__noinline int party_find(const struct address *address, struct party *party)
{
	if (address && party)
		party_of(address, party);
	return 0;
}
